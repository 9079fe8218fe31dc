"""What all pictures share: the page, its style and colours, wrapped text, the legend below, and the file."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.errors import MissingLibraryError, OptionError
from nnx.files import check_target, replacing
from nnx.learning_curve import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT, TITLE = 9.5, 12.0
"""Font sizes in points."""

DARK, PALE = "#222222", "#dddddd"
LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo")
"""What tells series apart where colours do not."""

_FAMILIES = (
    "agg", "axes", "errorbar", "figure", "font", "grid", "hatch", "image", "legend", "lines", "markers", "mathtext",
    "patch", "path", "pdf", "savefig", "svg", "text", "xtick", "ytick",
)  # fmt: skip
_STYLE = {
    "font.size": TEXT,
    "figure.dpi": 150,
    "axes.titlesize": 10.5,
    "axes.labelsize": TEXT,
    "axes.edgecolor": DARK,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.wspace": 0.06,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "hatch.linewidth": 0.7,
    "svg.hashsalt": "nnx",
}
INCH = 72.0
"""Points."""

LINE = 1.25 * TEXT / INCH
"""Inches: the height of a line of text."""

_METADATA = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""Without what differs from one run to the next."""

_one_at_a_time = threading.Lock()


def colour(index: int) -> str:
    """Return the colour of a series."""
    return PALETTE[index % len(PALETTE)]


def cycled(choices: Sequence[Any], index: int) -> Any:
    """Return the line style, marker or hatch of a series."""
    return choices[index % len(choices)]


@contextmanager
def page(width: float, height: float, path: object, title: object) -> Iterator[Figure]:
    """Yield a figure to draw on, in constrained layout; it is written when the block ends well.

    The style holds inside of the block only, and for one block at a time.

    Args:
        width: in inches.
        height: in inches, without the title.
        path: where to write it: a path that ends in .png, .svg or .pdf; or None.
        title: the heading; may be empty.

    Raises:
        MissingLibraryError: matplotlib is not installed.
        OptionError: the path cannot be written to.
    """
    target = None if path is None else check_picture(path)
    need_matplotlib()
    lines = wrapped(str(title), width - 0.4, TITLE, "bold")
    with _one_at_a_time, _style():
        from matplotlib.figure import Figure

        room = lines.count("\n") * TITLE * 1.25 / INCH + 0.3 if lines else 0.0
        figure = Figure(figsize=(width, height + room), layout="constrained")
        if lines:
            figure.suptitle(lines, size=TITLE, weight="bold")
        yield figure
        figure.draw_without_rendering()  # what matplotlib makes on drawing, such as ticks, has our style for good
        if target is not None:
            _write(figure, target)


@contextmanager
def _style() -> Iterator[None]:
    """Draw as matplotlib does by itself, but for our style, whatever the user has set."""
    import matplotlib

    usual = {name: value for name, value in matplotlib.rcParamsDefault.items() if name.startswith(_FAMILIES)}
    with matplotlib.rc_context({**usual, **_STYLE}):
        yield


def need_matplotlib() -> None:
    """Raise MissingLibraryError if nothing can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError("matplotlib", "pictures", "plot") from error


def check_picture(path: object, option: str = "path") -> Path:
    """Return the path of a picture to write.

    Raises:
        OptionError: as `nnx.files.check_target`, or the ending is that of no kind of picture that can be drawn.
    """
    target = check_target(path, option)
    if target.suffix.lower() not in _METADATA:
        raise OptionError(f"{option} must end in .png, .svg or .pdf, got {str(target)!r}.")
    return target


def _write(figure: Figure, target: Path) -> None:
    ending = target.suffix.lower()
    try:
        with replacing(target) as part:
            figure.savefig(part, format=ending[1:], metadata=_METADATA[ending])
    except OSError as error:
        reason = error.strerror or error  # the text of an OSError would name the temporary file
        raise OptionError(f"path {str(target)!r} cannot be written: {reason}.") from error


def text_width(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Return how wide one line of text is, in inches; raises MissingLibraryError if matplotlib is not installed."""
    need_matplotlib()
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not text:
        return 0.0
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)  # matplotlib's own, whatever is set
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, False)
    return float(width) / INCH


def widest_line(texts: Iterable[str]) -> float:
    """Return how wide the widest line of all texts is, in inches."""
    return max((text_width(line) for text in texts for line in text.splitlines()), default=0.0)


def lines_in(texts: Iterable[str]) -> int:
    """Return how many lines the highest of the texts has."""
    return max((1 + text.count("\n") for text in texts), default=0)


def wrapped(text: str, width: float, size: float = TEXT, weight: str = "normal") -> str:
    """Return text in lines of at most that many inches, broken between words or, where one is too long, inside.

    It is made `plain` too.
    """
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}" if line else word
            if text_width(joined, size, weight) <= width:
                line = joined
                continue
            *full, line = [*([line] if line else []), *_pieces(word, width, size, weight)]
            lines += full
        lines.append(line)
    return plain("\n".join(lines))


def plain(text: str) -> str:
    """Return text in which matplotlib does not take what stands between two dollar signs for a formula."""
    return text.replace("$", r"\$")


def _pieces(word: str, width: float, size: float, weight: str) -> list[str]:
    """Break a word into pieces of at most that many inches, one character at least."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and text_width(pieces[-1] + letter, size, weight) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def legend_below(figure: Figure, entries: Iterable[tuple[Any, str]]) -> None:
    """Put a legend under everything else, in as many columns as fit, and make the figure that much higher.

    Args:
        figure: one in constrained layout.
        entries: what is shown and its name, in order.
    """
    shown = list(entries)
    across = figure.get_figwidth() - 0.3
    beside = (3.2 + 0.8 + 2.0) * TEXT / INCH  # the handle, and the room beside it and between columns
    names = [wrapped(name, across - beside) for _, name in shown]
    columns = max(1, min(len(shown), int(across / (widest_line(names) + beside))))
    rows = -(-len(shown) // columns)
    figure.set_figheight(figure.get_figheight() + 0.15 + rows * (lines_in(names) * LINE + 0.5 * TEXT / INCH))
    blank = [" "] * len(shown)  # since matplotlib before 3.10 leaves out names that begin with an underscore
    legend = figure.legend([handle for handle, _ in shown], blank, loc="outside lower center", ncols=columns)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
