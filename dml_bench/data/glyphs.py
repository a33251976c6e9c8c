"""Glyphs: letters drawn from the typefaces that matplotlib ships. Nothing to download.

A class is a character, its images are the typefaces; train on Latin letters, test on Greek and
Cyrillic ones. The typefaces are the text faces of DejaVu, STIX and Computer Modern; symbol and
size faces are left out, for their code points do not show the letters they name, and of Computer
Modern only the ASCII letters are used, for the same reason.

Left out are characters that fewer than `MIN_FACES` typefaces can draw, and characters whose drawing
in some typeface is equal to that of an earlier class (the Greek capital Alpha is a Latin A).

Counts with matplotlib 3.11 and Pillow 13: see `COUNTS`. Other versions may draw other pixels, and
so keep a few characters more or fewer: the protocol's fingerprint tells.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from dml_bench.data.images import Array
from dml_bench.data.origin import Origin
from dml_bench.errors import DataError
from dml_bench.types import Dataset, Split

ORIGIN = Origin(
    title="Glyphs: letters of matplotlib's typefaces",
    licence="the typefaces' own: Bitstream Vera and Arev (DejaVu), SIL Open Font License 1.1"
    " (STIX), BaKoMa Fonts Licence (Computer Modern)",
    source="drawn from the typefaces that matplotlib ships",
    homepage="https://matplotlib.org",
)

SIDE = 32
"""Pixels of an image's side."""
POINTS = 22
"""The size at which every typeface is set: an M is half as high as the image."""
MIN_FACES = 10
"""Typefaces that must be able to draw a character."""
COUNTS = {"train": (10_506, 733), "test": (4_684, 352)}
"""Images and classes of each split, with the versions above."""

COMPUTER_MODERN = ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10")
FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-BoldOblique",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-BoldItalic",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralBolIta",
    "STIXGeneralItalic",
    *COMPUTER_MODERN,
)

Pixels = npt.NDArray[np.uint8]
Drawn = dict[str, Pixels]
"""Typeface -> (SIDE, SIDE), one character."""


def load(root: Path) -> Dataset:
    """Draw the dataset, in about two seconds.

    Args:
        root: not read; every adapter takes it.

    Returns:
        RGB images of 32 x 32, white on black. A class id is a Unicode code point.

    Raises:
        DataError: matplotlib came without a typeface.

    Source:
        DejaVu fonts; STIX fonts (STI Pub companies); Computer Modern (Donald Knuth, in the TrueType
        conversion of the BaKoMa collection): as matplotlib ships them.
    """
    faces = [Face(name, _file(name)) for name in FACES]
    train = _distinct(faces, ("latin",), {})
    test = _distinct(faces, ("greek", "cyrillic"), train)
    query = _split("test", test)
    return Dataset(
        name="glyphs",
        title=ORIGIN.title,
        train=_split("train", train),
        query=query,
        gallery=query,
        protocol="unseen",
        recall_at=(1, 2, 4, 8),
        licence=ORIGIN.licence,
        source=ORIGIN.source,
    )


@dataclass(frozen=True)
class Face:
    """One typeface.

    Args:
        name: as its file is called.
        path: its TrueType file.
    """

    name: str
    path: Path

    @cached_property
    def letters(self) -> frozenset[int]:
        """The code points that it shows as what they name."""
        from matplotlib.ft2font import FT2Font

        codes = FT2Font(str(self.path)).get_charmap()
        ascii_only = self.name in COMPUTER_MODERN
        return frozenset(int(code) for code in codes if code < 128 or not ascii_only)

    @cached_property
    def font(self) -> ImageFont.FreeTypeFont:
        """The typeface at `POINTS`; the basic layout is the same on every machine."""
        return ImageFont.truetype(self.path, POINTS, layout_engine=ImageFont.Layout.BASIC)

    def draw(self, code: int) -> Pixels | None:
        """Draw a character with its box in the middle; None if that is empty or does not fit."""
        left, top, right, bottom = (int(edge) for edge in self.font.getbbox(chr(code)))
        if not 0 < max(right - left, bottom - top) <= SIDE:
            return None
        corner = ((SIDE - left - right) // 2, (SIDE - top - bottom) // 2)
        image = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(image).text(corner, chr(code), font=self.font, fill=255)
        pixels = np.asarray(image)
        return pixels if pixels.any() else None


def script(code: int) -> str:
    """Return the script of an upper- or lower-case letter in small letters, "" for all else.

    Example:
        >>> script(ord("é")), script(ord("Я")), script(ord("7"))
        ('latin', 'cyrillic', '')
    """
    if unicodedata.category(chr(code)) not in ("Lu", "Ll"):
        return ""
    return unicodedata.name(chr(code)).partition(" ")[0].lower()


def _file(name: str) -> Path:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    if not path.is_file():
        raise DataError(
            f"glyphs: expected the typeface {name} in matplotlib {matplotlib.__version__}, found"
            " none; reinstall matplotlib"
        )
    return path


def _distinct(
    faces: list[Face], scripts: tuple[str, ...], earlier: dict[int, Drawn]
) -> dict[int, Drawn]:
    """Draw the characters of some scripts, without those that look like an earlier one."""
    seen = {key for drawn in earlier.values() for key in _keys(drawn)}
    kept: dict[int, Drawn] = {}
    for code in sorted({c for face in faces for c in face.letters if script(c) in scripts}):
        drawn = _drawings(faces, code)
        if len(drawn) >= MIN_FACES and seen.isdisjoint(_keys(drawn)):
            kept[code] = drawn
            seen.update(_keys(drawn))
    return kept


def _drawings(faces: list[Face], code: int) -> Drawn:
    shown = {face.name: face.draw(code) for face in faces if code in face.letters}
    return {name: pixels for name, pixels in shown.items() if pixels is not None}


def _keys(drawn: Drawn) -> list[tuple[str, bytes]]:
    """What two characters must not share: a typeface and all its pixels."""
    return [(face, pixels.tobytes()) for face, pixels in drawn.items()]


def _split(name: str, classes: dict[int, Drawn]) -> Split:
    gray = np.stack([pixels for drawn in classes.values() for pixels in drawn.values()])
    return Split(
        name=name,
        images=Array(np.repeat(gray[..., None], 3, axis=3)),
        labels=np.array([code for code, drawn in classes.items() for _ in drawn]),
        ids=tuple(
            f"{script(code)}/U+{code:04X}/{face}"
            for code, drawn in classes.items()
            for face in drawn
        ),
        class_names={code: unicodedata.name(chr(code)) for code in classes},
    )
