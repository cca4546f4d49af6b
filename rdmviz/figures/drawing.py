"""Each picture on a figure, or on a part of one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from rdmviz.figures.contents import (
    Content,
    CurvesContent,
    Floats,
    Key,
    MapContent,
    MatrixContent,
    Panel,
    SpectrumContent,
)
from rdmviz.figures.keys import ROW, draw_key, rows_of
from rdmviz.figures.palette import CATEGORIES, CURSOR, DIVERGING, LINE, MARKS, MUTED, TEXT, paints, ramp
from rdmviz.figures.style import Picture, number, plain, style

_CAPTION: Final = 0.24  # inches of the line above a picture
_COLUMN_HEADS: Final = 0.18
_MARGIN: Final = 0.22  # inches beside a matrix: the ends of its scale stand out
_FADED: Final = 0.3  # as static/map.js has them
_MOST_RINGS: Final = 200
_SMALLEST_SHARE: Final = 1e-4  # as static/spectrum.js has it
_USUAL_WIDTH: Final = {CurvesContent: 7.0, MapContent: 4.4, MatrixContent: 4.0, SpectrumContent: 4.4}


def drawn(content: Content, width: float | None = None) -> Picture:
    """Draw one picture on a figure that fits it, `width` inches wide."""
    width = _USUAL_WIDTH[type(content)] if width is None else width
    with style():
        figure = Picture(figsize=(width, _height(content, width)))
        place(content, figure, (0, 0, *figure.get_size_inches()))
    return figure


def place(content: Content, figure: Picture, box: tuple[float, float, float, float]) -> None:
    """Draw a picture within a box of a figure: left, bottom, width and height in inches."""
    left, bottom, width, height = box
    caption = plain(content.caption)
    if caption:
        x, y = np.array([left + 0.06, bottom + height - 0.05]) / figure.get_size_inches()
        figure.text(x, y, caption, va="top", size=7, color=MUTED)
    rest = (left, bottom, width, height - _CAPTION)
    if isinstance(content, CurvesContent):
        _curves(content, figure, rest)
    elif isinstance(content, MapContent):
        _map(content, figure, rest)
    elif isinstance(content, MatrixContent):
        _matrix(content, figure, rest)
    else:
        _spectrum(content, figure, rest)


def _height(content: Content, width: float) -> float:
    if isinstance(content, CurvesContent):
        rows = _rows(content.panels)
        return _CAPTION + _CURVE * len(rows) + _COLUMN_HEADS * any(len(row) == 2 for row in rows) + 0.06
    if isinstance(content, SpectrumContent):
        return _CAPTION + 0.5 * width
    key = _key_height(content.key, width)
    if isinstance(content, MatrixContent):
        return _CAPTION + key + width - 2 * _MARGIN + 0.5
    return _CAPTION + key + width + 0.1


def _axes(figure: Picture, left: float, bottom: float, width: float, height: float, **options: Any) -> Any:
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), **options)


# --- the map


def _map(content: MapContent, figure: Picture, box: tuple[float, float, float, float]) -> None:
    left, bottom, width, height = box
    key = _place_key(content.key, figure, box)
    axes = _axes(figure, left + 0.62, bottom + 0.45, width - 0.72, height - key - 0.53)
    axes.yaxis.set_label_coords(-0.44 / (width - 0.72), 0.5)
    low_x, high_x, low_y, high_y = content.ends
    axes.axhline(0, color=MUTED, linewidth=0.6, linestyle=(0, (2, 3)), zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.6, linestyle=(0, (2, 3)), zorder=0)
    axes.set(xlim=(low_x, high_x), ylim=(low_y, high_y), xlabel=content.axes[0], ylabel=content.axes[1])
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    count = len(content.positions)
    area = 5.0 if count > 5000 else 9.0 if count > 1500 else 16.0
    areas = np.full(count, area) if content.sizes is None else area * content.sizes
    colors = paints(content.codes, content.key.kind)
    chosen = np.isin(np.arange(count), content.ringed)
    for which, alpha in ((~chosen, _FADED if chosen.any() else 0.85), (chosen, 1.0)):
        axes.scatter(
            *content.positions[which].T,
            s=areas[which],
            c=colors[which],
            alpha=alpha,
            edgecolors="white",
            linewidths=0.35,
            zorder=2,
        )
    for place_, trail in zip(content.ringed, content.trails, strict=False):
        axes.plot(*trail.T, color=colors[place_], linewidth=0.8, alpha=0.7, zorder=3)
    ringed = content.ringed if len(content.ringed) <= _MOST_RINGS else content.ringed[:0]
    rings = (np.sqrt(areas[ringed]) + 3.2) ** 2
    axes.scatter(
        *content.positions[ringed].T, s=rings, facecolors="none", edgecolors=TEXT, linewidths=0.8, zorder=4
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


# --- the matrix


def _matrix(content: MatrixContent, figure: Picture, box: tuple[float, float, float, float]) -> None:
    left, bottom, width, height = box
    key = _place_key(content.key, figure, box)
    strip, gap, foot = 0.09, 0.04, 0.5
    side = min(width - 2 * _MARGIN - strip - gap, height - key - foot - strip - gap)
    x, y = left + _MARGIN + strip + gap, bottom + foot
    axes = _axes(figure, x, y, side, side)
    size = len(content.shade)
    colors = ListedColormap(ramp(DIVERGING) / 255.0)
    image = axes.imshow(content.shade, cmap=colors, vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=LINE)
    strips = paints(content.codes, content.key.kind)
    for values, box_of in (
        (strips[:, None], (x - strip - gap, y, strip, side)),
        (strips[None], (x, y + side + gap, side, strip)),
    ):
        beside = _axes(figure, *box_of)
        beside.imshow(values, aspect="auto", interpolation="nearest")
        beside.set_axis_off()
    for row in content.ringed:
        for corner, extent in (((-0.5, row - 0.5), (size, 1)), ((row - 0.5, -0.5), (1, size))):
            axes.add_patch(Rectangle(corner, *extent, fill=False, edgecolor=TEXT, linewidth=0.6))
    bar = figure.colorbar(image, cax=_axes(figure, x, bottom + 0.34, side, 0.08), orientation="horizontal")
    ticks = np.array([-1, -0.25, 0, 0.25, 1]) if content.rooted else np.linspace(-1, 1, 5)
    places = np.sign(ticks) * np.sqrt(np.abs(ticks)) if content.rooted else ticks
    bar.set_ticks(places.tolist())
    bar.set_ticklabels([number(float(tick) * content.scale) for tick in ticks])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, pad=2)
    bar.ax.set_xlabel(content.quantity, labelpad=2)


# --- the spectrum


def _spectrum(content: SpectrumContent, figure: Picture, box: tuple[float, float, float, float]) -> None:
    left, bottom, width, height = box
    axes = _axes(figure, left + 0.66, bottom + 0.42, width - 0.76, height - 0.62)
    count = len(content.shares)
    floor = _SMALLEST_SHARE if content.log else 0.0
    shares = np.where(content.shares > floor, content.shares, np.nan)
    colors = [CATEGORIES[0] if place in content.chosen else MUTED for place in range(count)]
    axes.bar(np.arange(1, count + 1), shares - floor, bottom=floor, width=0.82, color=colors, zorder=2)
    if content.edge is not None:
        axes.axhline(content.edge, color=CURSOR, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3)
        axes.annotate(
            "null edge", (1, content.edge), xycoords=("axes fraction", "data"), xytext=(0, 2),
            textcoords="offset points", ha="right", va="bottom", size=7, color=CURSOR,
        )  # fmt: skip
    top = 1.0 if content.log else max(float(np.nanmax(content.shares, initial=0)) * 1.08, 1e-3)
    axes.set(xlim=(0.4, count + 0.6), ylim=(floor, top), xlabel="mode", ylabel="share of Tr C")
    if content.log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    axes.xaxis.set_major_locator(FixedLocator([1, *range(5, count + 1, 5)]))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_title(content.note, loc="right", weight="normal", color=TEXT)
    axes.yaxis.set_label_coords(-0.48 / (width - 0.76), 0.5)


# --- the curves

_CURVE: Final = 1.18  # inches of a panel with its title
_HEADS: Final = ("2RDM", "plain baselines")
_DASHES: Final = {"transition": (0, (5, 2)), "alarm": (0, (1, 1.5)), "bookmark": (0, (1, 3))}


def _curves(content: CurvesContent, figure: Picture, box: tuple[float, float, float, float]) -> None:
    left, bottom, width, height = box
    rows = _rows(content.panels)
    columns = 2 if any(len(row) == 2 for row in rows) else 1
    wide = width / columns
    if columns == 2:
        for column, head in enumerate(_HEADS):
            x, y = np.array([left + column * wide + 0.52, bottom + height - 0.04]) / figure.get_size_inches()
            figure.text(x, y, head, va="top", size=7.5, color=MUTED)
        height -= _COLUMN_HEADS
    tall = height / len(rows)
    for place_, row in enumerate(rows):
        for column, panel in row:
            spans = panel.column is None or columns == 1
            x, y = left + (0 if spans else column * wide), bottom + height - (place_ + 1) * tall
            axes = _axes(figure, x + 0.52, y + 0.3, (width if spans else wide) - 0.76, tall - 0.52)
            _panel(axes, panel, content)
            below = [panel.column for _, panel in rows[place_ + 1]] if place_ + 1 < len(rows) else []
            if panel.column not in below:
                axes.set_xlabel("step", labelpad=1)
    kinds = dict.fromkeys(kind for _, kind, _ in content.marks)
    if kinds:
        lines = [Line2D([], [], color=MARKS[kind], linewidth=0.9, linestyle=_DASHES[kind]) for kind in kinds]
        lines.insert(0, Line2D([], [], color=CURSOR, linewidth=1.0))
        corner = np.array([left + width - 0.24, bottom + box[3] + _CAPTION - 0.02]) / figure.get_size_inches()
        figure.legend(
            lines, ["step shown", *kinds], loc="upper right", bbox_to_anchor=corner, borderaxespad=0,
            fontsize=7, labelcolor=MUTED, ncols=len(lines), handlelength=1.6, handletextpad=0.4,
            columnspacing=1.1,
        )  # fmt: skip


def _rows(panels: tuple[Panel, ...]) -> list[list[tuple[int, Panel]]]:
    """Panels in rows of two columns: of the 2RDM and plain ones beside them; then those that span both."""
    columns = [[panel for panel in panels if panel.column == column] for column in (0, 1)]
    rows: list[list[tuple[int, Panel]]] = []
    for place_ in range(max(map(len, columns))):
        rows.append([(c, columns[c][place_]) for c in (0, 1) if place_ < len(columns[c])])
    return rows + [[(0, panel)] for panel in panels if panel.column is None]


def _panel(axes: Any, panel: Panel, content: CurvesContent) -> None:
    (low, high), steps = content.span, content.steps
    inside = (steps >= low) & (steps <= high)
    for line in panel.lines:
        values = np.where(line.values > 0, line.values, np.nan) if panel.log else line.values
        axes.plot(steps[inside], values[inside], color=line.color, zorder=2)
    axes.set_xlim(low, high if high > low else low + 1)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(length=2.5, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    _scale(axes, np.concatenate([line.values[inside] for line in panel.lines]), log=panel.log)
    for step, kind, _ in content.marks:
        if low <= step <= high:
            axes.axvline(step, color=MARKS[kind], linewidth=0.9, linestyle=_DASHES[kind], zorder=1)
    if content.cursor is not None and low <= content.cursor <= high:
        axes.axvline(content.cursor, color=CURSOR, linewidth=1.0, zorder=3)
    units = f", {panel.units}" if panel.units else ""
    axes.set_title(plain(f"{panel.title}{units}"))
    if len(panel.lines) > 1:
        axes.legend(
            axes.lines[: len(panel.lines)], [plain(line.label) for line in panel.lines], loc="lower right",
            bbox_to_anchor=(1, 1), borderaxespad=0, borderpad=0.1, ncols=len(panel.lines), fontsize=7.5,
            handlelength=1.1, handletextpad=0.4, columnspacing=1,
        )  # fmt: skip


def _scale(axes: Any, values: Floats, *, log: bool) -> None:
    finite = values[np.isfinite(values) & (values > 0)] if log else values[np.isfinite(values)]
    if not finite.size:
        axes.set(ylim=(0, 1), yticks=[])
        axes.annotate("no value here", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
        return
    low, high = float(finite.min()), float(finite.max())
    if log:
        low, high = low / 1.3, high * 1.3
        axes.set(yscale="log", ylim=(low, high))
        decades = np.floor(np.log10(high)) - np.ceil(np.log10(low))
        axes.yaxis.set_major_locator(LogLocator(numticks=4) if decades >= 1 else MaxNLocator(4))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _decade(value)))
        return
    room = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _decade(value: float) -> str:
    """Powers of ten as the explorer's axes have them: 1e-6."""
    exponent = round(np.log10(value)) if value > 0 else 0
    whole = value > 0 and np.isclose(value, 10.0**exponent)
    return f"1e{exponent}" if whole and abs(exponent) > 1 else number(value)


# --- the key above a picture


def _key_height(key: Key, width: float) -> float:
    return ROW * len(rows_of(key, width - 0.2)) + 0.06


def _place_key(key: Key, figure: Picture, box: tuple[float, float, float, float]) -> float:
    """Draw the key at the top of a box and return its height."""
    left, bottom, width, height = box
    tall = _key_height(key, width)
    draw_key(_axes(figure, left + 0.08, bottom + height - tall, width - 0.16, tall), key, width - 0.2)
    return tall
