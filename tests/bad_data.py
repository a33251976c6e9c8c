"""Data sets that no command should take: images, listings, `dataset.toml`, archives."""

import os
import pickle
import random
import stat
import tarfile
import zipfile

from refusals import LISTING, TOML, TRAIN, Case, png, saved, tar, trap, zipped

FETCH = ["fetch", "cars196"]


def image(content):
    """Put something in the place of a training image."""
    return lambda place: (place / "data/mine/a/1.png").write_bytes(content)


def replaced(make):
    """Put something that is no file in the place of a training image."""

    def arrange(place):
        path = place / "data/mine/a/1.png"
        path.unlink()
        make(path)

    return arrange


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def cut(content, share):
    return content[: int(len(content) * share)]


IMAGES = {
    "empty": image(b""),
    "a web page": image(b"<!doctype html><html>404</html>"),
    "text": image("kein Bild, nur Text\n".encode("utf-16")),
    "zeros": image(bytes(4_000)),
    "a pickle": image(pickle.dumps([1])),
    "an archive": image(zipped(("a.png", saved("PNG")))),
    "svg": image(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    "a PNG's signature": image(png(8, 8)[:8]),
    "a PNG without pixels": image(png(8, 8)),
    "a PNG of 60,000 x 60,000": image(png(60_000, 60_000)),
    "a PNG of 12,000 x 9,000": image(png(12_000, 9_000)),
    "a PNG of 2**31 - 1 x 2**31 - 1": image(png(2**31 - 1, 2**31 - 1)),
    "a PNG of 0 x 0": image(png(0, 0)),
    "a PNG of 0 x 5": image(png(0, 5)),
    "a strip of 1 x 60,000": image(png(1, 60_000)),
    "a strip of 60,000 x 1": image(saved("PNG", size=(60_000, 1))),
    "a PNG of a false checksum": image(png(8, 8, body=bytes(200)).replace(b"IDAT", b"IDAT\x01", 1)),
    "a GIF's signature": image(b"GIF89a"),
    "floating-point pixels": image(saved("TIFF", "F")),
    "a folder": replaced(lambda path: path.mkdir()),
    "a link to nothing": replaced(lambda path: path.symlink_to("nowhere.png")),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    **{f"noise {seed}": image(noise(seed, 2_000)) for seed in range(4)},
    **{
        f"a {form} cut at {share:.0%}": image(cut(saved(form), share))
        for form in ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF")
        for share in (0.02, 0.5)
    },
}


def listing(text, encoding="utf-8"):
    return lambda place: (place / "data/mine/labels.csv").write_bytes(text.encode(encoding))


def changed(old, new):
    assert old in LISTING
    return listing(LISTING.replace(old, new, 1))


LISTINGS = {
    "empty": (listing(""), "found none; add path, label, split"),
    "a header alone": (listing("path,label,split\n"), "split 'train': expected images, found none"),
    "no header": (listing(LISTING.split("\n", 1)[1]), "line 1: expected the columns"),
    "semicolons": (listing(LISTING.replace(",", ";")), "line 1: expected the columns"),
    "tabs": (listing(LISTING.replace(",", "\t")), "line 1: expected the columns"),
    "no path": (changed("path,", "file,"), "add path"),
    "no label": (changed(",label,", ",class,"), "add label"),
    "no split": (changed("split", "part"), "add split"),
    "no column known": (changed("path,label,class_name,split", "a,b,c,d"), "add path, label"),
    "a column twice": (changed("class_name", "label"), "each column once, found 'label' twice"),
    "UTF-16": (listing(LISTING, "utf-16"), "expected a CSV file, found: "),
    "Latin-1": (listing(LISTING.replace("ant", "Ämse"), "latin-1"), "expected a CSV file"),
    "a NUL": (changed("ant", "a\0t"), "labels.csv"),
    "a quote that stays open": (changed("b/1.png", '"b/1.png'), "labels.csv"),
    "a field without end": (changed("ant", "a" * 200_000), "expected a CSV file"),
    "a short row": (changed("1,ant,train", "1"), "expected 4 columns"),
    "a long row": (changed("ant,train", "ant,train,train"), "expected 4 columns"),
    "a binary file": (
        lambda place: (place / "data/mine/labels.csv").write_bytes(saved("PNG")),
        "expected a CSV file",
    ),
    "not there": (lambda place: (place / "data/mine/labels.csv").unlink(), "No such file"),
    "a folder": (
        lambda place: [(p := place / "data/mine/labels.csv").unlink(), p.mkdir()],
        "Is a directory",
    ),
    **{
        f"label {label!r}": (changed("1.png,1,", f"1.png,{label},"), "line 2: expected a ")
        for label in (
            "",
            "ant",
            "1.0",
            "1e3",
            "nan",
            "0x1",
            "1_0",
            "\u0663",
            2**63,
            -(2**63),
            "9" * 50,
        )
    },
    **{
        f"split {part!r}": (changed("train", part), f"split train or test, found '{part}'")
        for part in ("", "val", "TRAIN", " train", "train/test", "0")
    },
    **{
        f"path {path!r}": (changed("a/1.png", path), said)
        for path, said in {
            "": "inside the dataset's folder",
            "/etc/hostname": "inside the dataset's folder, found '/etc/hostname'",
            "../mine/a/1.png": "inside the dataset's folder",
            "a/../../mine/a/1.png": "inside the dataset's folder",
            "..": "inside the dataset's folder",
            "a/9.png": "1 missing (first: a/9.png)",
            "z/1.png": "1 missing (first: z/1.png)",
            "A/1.PNG": "1 missing",
            "C:\\a\\1.png": "1 missing",
            "http://example.org/1.png": "1 missing",
            "a/2.png": "'a/2.png' is listed twice",
            "./a/2.png": "one name for each image",
            "a//2.png": "one name for each image",
            "c/../a/2.png": "inside the dataset's folder|one name for each image",
            "c/1.png": "found 1 in both (first: 'c/1.png')",
            "./c/1.png": "one name for each image",
            "a\x1b[31m.png": "1 missing",
        }.items()
    },
    "two names of a class": (changed("ant", "aunt"), "expected class_name 'aunt' as before"),
    "a class on both sides": (changed("2,bee,train", "3,cat,train"), "no class in both train"),
    "no training image": (listing(LISTING.replace("train", "test")), "split 'train': expected im"),
    "no test image": (listing(LISTING.replace("test", "train")), "split 'test': expected images"),
}


def toml(text, encoding="utf-8"):
    return lambda place: (place / "data/mine/dataset.toml").write_bytes(text.encode(encoding))


TOMLS = {
    "empty": (toml(""), "expected 'name'"),
    "no TOML": (toml("name: mine\n"), "expected TOML, found"),
    "JSON": (toml('{"name": "mine"}'), "expected TOML, found"),
    "UTF-16": (toml(TOML, "utf-16"), "expected TOML, found"),
    "Latin-1": (toml(TOML + 'note = "Ä"\n', "latin-1"), "expected TOML, found"),
    "a string that stays open": (toml(TOML + 'note = "x\n'), "expected TOML, found"),
    "a field twice": (toml(TOML + 'name = "mine"\n'), "expected TOML, found"),
    "lists without end": (toml(TOML + f"note = {'[' * 50_000}"), "expected TOML, found"),
    "a number without end": (toml(TOML + f"note = {'9' * 9_000}"), "dataset.toml"),
    "no name": (toml(TOML.replace("name", "# ", 1)), "expected 'name'"),
    "no listing": (toml(TOML.replace("listing", "# ", 1)), "expected 'listing'"),
    "no protocol": (toml(TOML.replace("protocol", "# ", 1)), "expected 'protocol'"),
    "another name": (toml(TOML.replace("mine", "yours")), "the folder's name, name = 'mine'"),
    "a name that is built in": (
        lambda place: (place / "data/mine").rename(place / "data/glyphs"),
        "found 'glyphs', which is built in",
    ),
    "another protocol": (toml(TOML.replace("unseen", "open")), "protocol 'seen' or 'unseen'"),
    "seen classes that training never shows": (
        toml(TOML.replace("unseen", "seen")),
        "every test cl",
    ),
    "a field unknown": (toml(TOML + 'license = "x"\n'), "did you mean 'licence'?"),
    "a table unknown": (toml(TOML + "[train]\n"), "no field 'train'"),
    **{
        f"listing {path!r}": (toml(TOML.replace("labels.csv", path)), said)
        for path, said in {
            "../labels.csv": "a file beside it",
            "/etc/passwd": "a file beside it",
            "a/labels.csv": "a file beside it",
            "": "a file beside it|expected a CSV file",
            "..": "expected a CSV file",
            "other.csv": "No such file",
        }.items()
    },
    **{
        f"{name} = {value}": (toml(f"{TOML}{name} = {value}\n"), said)
        for name, value, said in (
            ("title", "3", "expected title to be a str"),
            ("source", "true", "expected source to be a str"),
            ("licence", "[]", "expected licence to be a str"),
            ("note", "2020-01-01", "expected note to be a str"),
            ("recall_at", "1", "expected recall_at to be a list"),
            ("recall_at", "[]", "whole numbers from 1"),
            ("recall_at", "[0]", "whole numbers from 1"),
            ("recall_at", "[-1]", "whole numbers from 1"),
            ("recall_at", "[1.5]", "whole numbers from 1"),
            ("recall_at", '["1"]', "whole numbers from 1"),
            ("recall_at", "[true]", "whole numbers from 1"),
            ("expect", "3", "expected expect to be a dict"),
            ("expect", "{ photos = 3 }", "no count 'photos'"),
            ("expect", "{ images = 7 }", "expected 7 images, found 6"),
            ("expect", "{ train_classes = 3 }", "expected 3 train classes, found 2"),
            ("expect", "{ test_images = 0 }", "expected 0 test images, found 2"),
            ("expect", '{ images = "6" }', "to be a whole number"),
            ("expect", "{ images = 6.0 }", "to be a whole number"),
        )
    },
}


def archive(content, name="car_ims.tgz"):
    def arrange(place):
        (place / "data/cars196").mkdir()
        (place / "data/cars196" / name).write_bytes(content)

    return arrange


def linked(kind, to):
    return tar(("good.txt", {}), ("bad", {"type": kind, "size": 0, "linkname": to}))


def zip_link():
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((info, b"/etc/passwd"))


def beyond():
    info = tarfile.TarInfo("a.txt")
    info.size = 8**11 - 1
    return info.tobuf() + b"x"


NOT_WHOLE = "expected a whole tar or zip file"
ARCHIVES = {
    **{
        f"a tar with {name}": (tar(("good.txt", {}), (name, {})), said)
        for name, said in {
            "../out.txt": "which leaves the folder",
            "a/../../out.txt": "which leaves the folder",
            "/tmp/dml-bench-out.txt": "which leaves the folder",
            "C:/out.txt": "which is no plain path",
            "..\\out.txt": "which is no plain path",
            "good.txt/inner": "which is both a file and a folder",
        }.items()
    },
    **{
        f"a zip with {name}": (zipped(("good.txt", b"x"), (name, b"x")), said)
        for name, said in {
            "../out.txt": "which leaves the folder",
            "/tmp/dml-bench-out.txt": "which leaves the folder",
            "..\\out.txt": "which is no plain path",
        }.items()
    },
    "a link to /etc": (linked(tarfile.SYMTYPE, "/etc"), "a link; nothing was unpacked"),
    "a link upwards": (linked(tarfile.SYMTYPE, "../.."), "a link; nothing was unpacked"),
    "a hard link": (linked(tarfile.LNKTYPE, "good.txt"), "a link; nothing was unpacked"),
    "a pipe": (linked(tarfile.FIFOTYPE, ""), "a device; nothing was unpacked"),
    "a character device": (linked(tarfile.CHRTYPE, ""), "a device; nothing was unpacked"),
    "a block device": (linked(tarfile.BLKTYPE, ""), "a device; nothing was unpacked"),
    "a link in a zip": (zip_link(), "a link or a device"),
    "a size beyond the file": (beyond(), NOT_WHOLE),
    "empty": (b"", NOT_WHOLE),
    "a web page": (b"<html>login first</html>", NOT_WHOLE),
    "noise": (noise(1, 5_000), NOT_WHOLE),
    "cut short": (cut(tar(("a", {"size": 90_000})), 0.5), NOT_WHOLE),
    "a zip cut short": (cut(zipped(("a", noise(1, 9_000))), 0.9), NOT_WHOLE),
}

CASES = {
    **{f"image: {n}": Case(TRAIN, "1.png: expected an image", do) for n, do in IMAGES.items()},
    **{f"listing: {n}": Case(TRAIN, said, do) for n, (do, said) in LISTINGS.items()},
    **{f"toml: {n}": Case(TRAIN, said, do) for n, (do, said) in TOMLS.items()},
    **{f"archive: {n}": Case(FETCH, said, archive(what)) for n, (what, said) in ARCHIVES.items()},
    "image: found by fetch --check": Case(
        ["fetch", "mine", "--check"], "found 1 broken", image(b"GIF89a")
    ),
    "image: a pickle that writes a file": Case(
        TRAIN,
        "expected an image",
        lambda place: (place / "data/mine/a/1.png").write_bytes(trap(place)),
    ),
    "data root: a file": Case(
        ["train", "--dataset", "mine", "--method", "random", "--data-root", os.devnull],
        "no dataset 'mine'",
    ),
}
