"""Where a dataset comes from: its licence, its archives, and how to get what has no address."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file that is fetched, verified, and unpacked into the dataset's folder.

    Args:
        file: the name that it is kept by, in the dataset's folder.
        urls: public addresses of the same bytes, tried in this order.
        digest: "md5:<32 hex>" or "sha256:<64 hex>" of the whole file.
        megabytes: about how large it is, said before anything is fetched.
        unpack: whether it is a tar or zip file to unpack; False for a file that is used as it is.
    """

    file: str
    urls: tuple[str, ...]
    digest: str
    megabytes: int
    unpack: bool = True


@dataclass(frozen=True)
class Origin:
    """What a built-in dataset says about where it comes from.

    Args:
        title: as in a heading.
        licence: what the pictures may be used for; said before anything is fetched.
        source: who made it, where, when.
        homepage: where a person reads more.
        archives: what can be fetched; none where there is no public address.
        needs: paths in the dataset's folder that are there once it is whole, one set for each form
            in circulation; any one set will do.
        steps: how a person gets it where it cannot be fetched, a line each.
        known: names of archives that a person may put into the folder instead of unpacking them;
            they have no digest, and are unpacked with the same care.
    """

    title: str
    licence: str
    source: str
    homepage: str
    archives: tuple[Archive, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    steps: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
