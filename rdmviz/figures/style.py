"""The one style of the pictures, and the figure that keeps to it: same content, same bytes."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, Final

import matplotlib.style
from matplotlib.figure import Figure

from rdmviz.errors import OptionError
from rdmviz.figures.contents import FORMATS
from rdmviz.figures.palette import LINE, MUTED, TEXT

_DPI: Final = 300
_STYLE: Final = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a picture is the same on every machine
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "text.parse_math": False,  # texts of a run may hold dollar signs
    "text.usetex": False,
    "text.color": TEXT,
    "axes.edgecolor": "#9aa1a9",
    "axes.facecolor": "#ffffff",
    "axes.formatter.use_mathtext": False,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.facecolor": "#ffffff",
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.1,
    "xtick.color": "#9aa1a9",
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.color": "#9aa1a9",
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 7.5,
    "ytick.major.width": 0.7,
    "pdf.fonttype": 42,
    "savefig.bbox": "standard",
    "svg.fonttype": "none",  # text stays text: it can be searched, and edited for the journal
    "svg.hashsalt": "rdmviz",
}
_UNDATED: Final = {
    "svg": {"Date": None, "Creator": "rdmviz"},
    "png": {"Software": "rdmviz"},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "rdmviz"},
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of rdmviz, whatever the session's own."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # Text in a script that the font lacks is boxes in a PNG; an SVG has the text itself.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


class Picture(Figure):
    """A matplotlib Figure in the style of rdmviz; :meth:`savefig` writes the same bytes each time."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure; the format is that of the suffix, or ``format``.

        Raises
        ------
        OptionError
            If the format is not ``svg``, ``png`` or ``pdf``.
        """
        kind = options.pop("format", None)
        if kind is None:
            kind = Path(fname).suffix[1:] if isinstance(fname, (str, PathLike)) else "png"
        if kind.lower() not in FORMATS:
            raise OptionError(f"format {kind!r:.40} of {fname!r:.200}: choose {_suffixes()}")
        kind = kind.lower()
        options = {"dpi": _DPI, "metadata": _UNDATED[kind], **options}
        with style():
            super().savefig(fname, format=kind, **options)

    def to_bytes(self, kind: str) -> bytes:
        """Return the file that :meth:`savefig` writes."""
        buffer = BytesIO()
        self.savefig(buffer, format=kind)
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


def _suffixes() -> str:
    return ", ".join(f".{kind}" for kind in FORMATS[:-1]) + f" or .{FORMATS[-1]}"


def plain(text: str) -> str:
    """Return a text of a run as a line that any of the formats can hold."""
    unfit = ("Cc", "Cs", "Cn")  # control characters, halves of pairs, what is no character
    text = " ".join(text.split())
    return "".join("\ufffd" if unicodedata.category(letter) in unfit else letter for letter in text)


def number(value: float) -> str:
    """Three significant digits, as the explorer writes them: 2.5e-6."""
    mantissa, letter, exponent = f"{value:.3g}".partition("e")
    text = f"{mantissa}e{int(exponent)}" if letter else mantissa
    return text.replace("-", "\u2212") if text.startswith("-") else text
