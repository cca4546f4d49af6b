"""What a datapoint is, in words: its metadata, its loss here, its part in the leading modes."""

from __future__ import annotations

from typing import Final

import numpy as np

from rdmviz.analysis import ModeFrame
from rdmviz.run import TrainingRun
from rdmviz.widgets.colors import format_number, minus_signed
from rdmviz.widgets.texts import beginning, visible

_MOST_COLUMNS: Final = 8
_LONGEST_TEXT: Final = 160


def card(
    run: TrainingRun, sample: int, index: int, frame: ModeFrame | None, modes: tuple[int, int] = (1, 2)
) -> list[list[str]]:
    """Return rows of ``[name, text]`` for one datapoint at one row, with its part in two modes.

    Texts are plain: the browser sets them as text, never as HTML.
    """
    rows = [["datapoint", str(sample)]]
    for name, column in list(run.probe.data_vars.items())[:_MOST_COLUMNS]:
        value = np.asarray(column.values)[sample]
        text = format_number(float(value)) if isinstance(value, np.floating) else str(value)
        cut = text if len(text) <= _LONGEST_TEXT else beginning(text, _LONGEST_TEXT - 1) + "…"
        rows.append([visible(str(name)), visible(cut)])
    rows.append(["loss here", format_number(float(run.rows(index, index + 1)[0, sample]))])
    if frame is not None:
        rows.append(["drift", minus_signed(f"{float(frame.displacement[sample]):+.3g}")])
        for mode in modes:
            if mode > len(frame.vectors):
                continue
            weight = float(frame.vectors[mode - 1, sample])
            share = format_number(100 * weight * weight)
            rows.append([f"mode {mode}: v, share", f"{minus_signed(f'{weight:+.2g}')}, {share}%"])
    return rows
