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
from rdmviz.figures.measuring import fitting, in_rows, text_width, wrapped
from rdmviz.figures.palette import (
    CATEGORIES,
    CURSOR,
    DIVERGING,
    LINE,
    MARKS,
    MUTED,
    TEXT,
    UNDEFINED,
    paints,
    ramp,
)
from rdmviz.figures.style import Picture, number, plain, style

_LINE: Final = 0.12  # inches of a line of the caption above a picture
_SMALL: Final = 7
_COLUMN_HEADS: Final = 0.18
_MARGIN: Final = 0.22  # inches beside a matrix: the ends of its scale stand out
_FADED: Final = 0.3  # as static/map.js has them
_MOST_RINGS: Final = 200
_MOST_SHAPES: Final = (
    5000  # points of an SVG or PDF; more are an image in it, axes and text stay what they are
)
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
    for line, text in enumerate(_caption(content, width)):
        x, y = np.array([left + 0.06, bottom + height - 0.05 - _LINE * line]) / figure.get_size_inches()
        figure.text(x, y, plain(text), va="top", size=_SMALL, color=MUTED)
    rest = (left, bottom, width, height - _head(content, width))
    if isinstance(content, CurvesContent):
        _curves(content, figure, rest)
    elif isinstance(content, MapContent):
        _map(content, figure, rest)
    elif isinstance(content, MatrixContent):
        _matrix(content, figure, rest)
    else:
        _spectrum(content, figure, rest)


def _height(content: Content, width: float) -> float:
    head = _head(content, width)
    if isinstance(content, CurvesContent):
        return head + _heads(content, width) + sum(_row_heights(content, width)) + 0.06
    if isinstance(content, SpectrumContent):
        return head + 0.5 * width
    key = _key_height(content.key, width)
    if isinstance(content, MatrixContent):
        return head + key + width - 2 * _MARGIN + 0.5
    return head + key + width + 0.1


def _caption(content: Content, width: float) -> list[str]:
    return wrapped(content.caption, _SMALL, 72 * (width - 0.12))


def _head(content: Content, width: float) -> float:
    """Height of the caption, and of what stands in a line with it."""
    return 0.12 + _LINE * max(1, len(_caption(content, width)))


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
            rasterized=count > _MOST_SHAPES,
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
    colors = ListedColormap(ramp(DIVERGING) / 255.0).with_extremes(bad=UNDEFINED)
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
            axes.add_patch(
                Rectangle(corner, *extent, fill=False, edgecolor=TEXT, linewidth=0.6 if size < 150 else 0.3)
            )
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
    colors = [MUTED] * count
    for color, place_ in zip(CATEGORIES, content.chosen, strict=False):
        if place_ < count:
            colors[place_] = color
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

_PANEL: Final = 1.18  # inches of a panel with its title
_TWO_COLUMNS: Final = 6.0  # inches, from which on a baseline stands beside a panel
_LEGEND: Final = 0.15  # inches of a line of names
_HEADS: Final = ("2RDM", "plain baselines")
_DASHES: Final = {"transition": (0, (5, 2)), "alarm": (0, (1, 1.5)), "bookmark": (0, (1, 3))}


def _curves(content: CurvesContent, figure: Picture, box: tuple[float, float, float, float]) -> None:
    left, bottom, width, height = box
    rows = _rows(content.panels, width)
    columns = _columns(content, width)
    wide = width / columns
    y = bottom + height
    if columns == 2:
        for column, head in enumerate(_HEADS):
            across, up = np.array([left + column * wide + 0.52, y - 0.02]) / figure.get_size_inches()
            figure.text(across, up, head, va="top", size=7.5, color=MUTED)
    y -= _heads(content, width)
    for place_, (row, tall) in enumerate(zip(rows, _row_heights(content, width), strict=True)):
        y -= tall
        for column, panel in row:
            spans = panel.column is None or columns == 1
            x = left + (0 if spans else column * wide) + 0.52
            axes = _axes(figure, x, y + 0.3, (width if spans else wide) - 0.76, _PANEL - 0.52)
            _panel(axes, panel, content, (width if spans else wide) - 0.76)
            below = [panel.column for _, panel in rows[place_ + 1]] if place_ + 1 < len(rows) else []
            if panel.column not in below:
                axes.set_xlabel("step", labelpad=1)
    _key_of_marks(content, figure, left + width, bottom + height)


def _key_of_marks(content: CurvesContent, figure: Picture, right: float, top: float) -> None:
    """Tell the upright lines apart, beside the heads of the columns."""
    kinds = dict.fromkeys(kind for _, kind, _ in content.marks)
    if not kinds:
        return
    lines = [Line2D([], [], color=MARKS[kind], linewidth=0.9, linestyle=_DASHES[kind]) for kind in kinds]
    lines.insert(0, Line2D([], [], color=CURSOR, linewidth=1.0))
    figure.legend(
        lines, ["step shown", *kinds], loc="upper right", borderaxespad=0, borderpad=0, fontsize=_SMALL,
        bbox_to_anchor=np.array([right - 0.24, top - 0.02]) / figure.get_size_inches(), labelcolor=MUTED,
        ncols=len(lines), handlelength=1.6, handletextpad=0.4, columnspacing=1.1,
    )  # fmt: skip


def _columns(content: CurvesContent, width: float) -> int:
    return max(len(row) for row in _rows(content.panels, width))


def _heads(content: CurvesContent, width: float) -> float:
    """Height of the heads of the columns, and of the key of the marks."""
    return _COLUMN_HEADS if content.marks or _columns(content, width) == 2 else 0.0


def _row_heights(content: CurvesContent, width: float) -> list[float]:
    heights = []
    for row in _rows(content.panels, width):
        room = [
            (width if panel.column is None else width / _columns(content, width)) - 0.76 for _, panel in row
        ]
        lines = [_legend_lines(panel, wide) for (_, panel), wide in zip(row, room, strict=True)]
        heights.append(_PANEL + _LEGEND * max(lines))
    return heights


def _legend_lines(panel: Panel, width: float) -> int:
    """Lines of names between the title and the plot; none where they fit beside the title."""
    named = [line.label for line in panel.lines if line.label]
    if len(named) < 2:
        return 0
    needed = sum(text_width(label, 7.5) + 22 for label in named) + text_width(_title(panel), 8, "bold")
    return 0 if needed <= 72 * width else len(in_rows(*_entries(named, width)))


def _entries(named: list[str], width: float) -> tuple[list[float], float, float]:
    """Widths of the names in columns as wide as the widest, the room, and the gap."""
    return [max(text_width(label, 7.5) for label in named) + 14] * len(named), 72 * width, 8.0


def _title(panel: Panel) -> str:
    return plain(f"{panel.title}, {panel.units}" if panel.units else panel.title)


def _rows(panels: tuple[Panel, ...], width: float) -> list[list[tuple[int, Panel]]]:
    """Panels in rows, each with its column; a baseline stands beside the panel before it, given room."""
    rows: list[list[tuple[int, Panel]]] = []
    for panel in panels:
        beside = width >= _TWO_COLUMNS and panel.column == 1
        if beside and rows and len(rows[-1]) == 1 and rows[-1][0][1].column == 0:
            rows[-1].append((1, panel))
        else:
            rows.append([(int(beside), panel)])
    return rows


def _panel(axes: Any, panel: Panel, content: CurvesContent, width: float) -> None:
    (low, high), steps = content.span, content.steps
    inside = (steps >= low) & (steps <= high)
    for line in panel.lines:
        values = np.where(line.values > 0, line.values, np.nan) if panel.log else line.values
        look = {"linewidth": 0.6, "alpha": 0.55, "zorder": 1} if line.thin else {"zorder": 2}
        axes.plot(steps[inside], values[inside], color=line.color, **look)
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
    lines = _legend_lines(panel, width)
    text, size = fitting(_title(panel), 8, 72 * width, "bold")
    axes.set_title(text, pad=4 + 72 * _LEGEND * lines, size=size)
    named = [
        (curve, plain(line.label)) for curve, line in zip(axes.lines, panel.lines, strict=False) if line.label
    ]
    if len(named) > 1:
        columns = len(in_rows(*_entries([label for _, label in named], width))[0]) if lines else len(named)
        axes.legend(
            *zip(*named, strict=True), loc="lower left" if lines else "lower right",
            bbox_to_anchor=(0 if lines else 1, 1), borderaxespad=0, borderpad=0.1, ncols=columns,
            fontsize=7.5, handlelength=1.1, handletextpad=0.4, columnspacing=1,
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
    return f"1e{exponent}" if whole and exponent not in (0, 1) else number(value)


# --- the key above a picture


def _key_height(key: Key, width: float) -> float:
    return ROW * len(rows_of(key, width - 0.2)) + 0.06


def _place_key(key: Key, figure: Picture, box: tuple[float, float, float, float]) -> float:
    """Draw the key at the top of a box and return its height."""
    left, bottom, width, height = box
    tall = _key_height(key, width)
    draw_key(_axes(figure, left + 0.08, bottom + height - tall, width - 0.16, tall), key, width - 0.2)
    return tall
