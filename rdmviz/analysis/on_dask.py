"""Dask-backed runs: the pass over the losses as tasks of whatever scheduler or cluster dask is set to use.

The losses are cut into tiles along their chunks of datapoints and, where that is not enough to bound the
memory of a task, into ranges of rows. Tiles are reduced to their products where the data are; only Grams
travel. Nothing is scheduled here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.compute.rdm.detrending import degrees_of_freedom
from rdmviz.compute.rdm.gram import BandedGram, assembled
from rdmviz.compute.rdm.modes import WindowModes, check_ends, check_moving, leading, oriented
from rdmviz.compute.rdm.one_window import OneWindow, WindowSums
from rdmviz.compute.rdm.rows import fluctuations_of, read_block, read_window
from rdmviz.compute.rdm.tiles import GramTile, gram_tile, tile_rows
from rdmviz.errors import ChunkError

_TILE_BYTES = 96 << 20  # losses of a task


@dataclass(frozen=True)
class _Tile:
    """A task, and what it is about."""

    task: Any
    rows: tuple[int, int]
    samples: tuple[int, int]

    def __str__(self) -> str:
        (low, high), (left, right) = self.rows, self.samples
        return f"rows {low} to {high - 1}, datapoints {left} to {right - 1}"


def gram_on_dask(losses: Any, max_window: int, known: BandedGram | None = None) -> BandedGram:
    """Banded Gram of a dask array ``(T, n)``, equal to that of the same losses in memory within rounding.

    Parameters
    ----------
    losses
        Dask array of real numbers; chunks of any shape.
    max_window, known
        As for :func:`rdmviz.compute.rdm.gram.banded_gram`.

    Raises
    ------
    ChunkError
        If a chunk cannot be read or reduced, for instance because its workers died time and again.
    """
    n_rows = losses.shape[0]
    w = min(max_window, n_rows)
    n_segments = -(-n_rows // w)
    size = losses.dtype.itemsize
    columns = list(_columns(losses.chunks[1], _TILE_BYTES // (size * n_rows), _TILE_BYTES // (2 * w * size)))
    widest = max(right - left for left, right in columns)
    whole = size * n_rows * widest <= _TILE_BYTES
    segments = n_segments if whole else max(1, _TILE_BYTES // (size * w * widest) - 1)
    sums, tiles = [], []
    done = [] if known is None else [known.tile(known.n_rows // w)]
    for first in range(len(done[0].segments) if done else 0, n_segments, segments):
        last = min(first + segments, n_segments)
        rows = tile_rows(first, last, w, n_rows)
        row = [_tile(losses, rows, samples, gram_tile, "gram", first, last, w, n_rows) for samples in columns]
        tiles += row
        sums.append(_tree_sum([tile.task for tile in row]))
    with one_blas_thread():  # where dask computes with threads of this process
        found: list[GramTile] = _computed(sums, tiles)
    return assembled(done + found, w)


def modes_on_dask(losses: Any, end: int, window: int, detrend: str, modes: int) -> WindowModes:
    """Modes of one window of a dask array ``(T, n)`` with ``n >= window``, reduced where the losses are.

    The window itself, ``window n`` losses, is kept in the memory of the cluster (or of this process, where
    dask computes here) as long as the modes are.

    Raises
    ------
    ChunkError, FlatWindowError, NonFiniteLossError, WindowError
        As :func:`gram_on_dask` and :func:`rdmviz.compute.rdm.modes.window_modes` do.
    """
    first, stop = check_ends(end, window, losses.shape[0])
    # Copied: a view would keep the whole chunk that it was cut from.
    held = losses[first:stop].map_blocks(np.copy, dtype=losses.dtype).rechunk({0: window})
    with contextlib.suppress(Exception):  # it comes again below, where it can be told which part it is of
        held = held.persist()
    size = losses.dtype.itemsize * window
    columns = list(_columns(held.chunks[1], _TILE_BYTES // size, _TILE_BYTES // size))
    parts = [_tile(held, (0, window), each, _part_sums, "window", detrend, offset=first) for each in columns]
    with one_blas_thread():
        (sums,) = _computed([_tree_sum([part.task for part in parts])], parts)
        if not np.isfinite(sums.size):
            read_window(lambda start, stop: held[start - first : stop - first].compute(), end, window)
        check_moving(sums, end, window, detrend)
        values, left = leading(sums.kernel, modes, losses.shape[1])
        parts = [
            _tile(held, (0, window), samples, _part_along, "modes", detrend, left, offset=first)
            for samples in columns
        ]
        found = _computed([part.task for part in parts], parts)

    def fluctuations(samples: Any = slice(None)) -> NDArray[np.float64]:
        return fluctuations_of(held[:, samples].compute(), detrend)

    vectors, displacement = (np.concatenate([part[i] for part in found], axis=-1) for i in (0, 1))
    nu = degrees_of_freedom(window, detrend)
    return oriented(values / nu, vectors, left, displacement, nu, fluctuations)


def _part_sums(losses: NDArray[Any], detrend: str) -> WindowSums:
    return OneWindow(losses, detrend).sums(part=True)


def _part_along(
    losses: NDArray[Any], detrend: str, left: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return OneWindow(losses, detrend).along(left)


def _tile(
    losses: Any,
    rows: tuple[int, int],
    samples: tuple[int, int],
    function: Callable[..., Any],
    purpose: str,
    *arguments: Any,
    offset: int = 0,
) -> _Tile:
    """Make a task that gets one block of the losses as an array, named by what it is about.

    `losses` begin at row `offset` of the run.
    """
    import dask
    from dask.base import tokenize

    block = losses[slice(*rows), slice(*samples)]
    if block.npartitions > 1:
        block = block.rechunk(block.shape)
    token = tokenize(losses, rows, samples, purpose, *arguments)
    rows = rows[0] + offset, rows[1] + offset
    name = f"rdmviz-{purpose}-rows-{rows[0]}-to-{rows[1] - 1}-datapoints-{samples[0]}-to-{samples[1] - 1}"
    task = dask.delayed(_of_block, pure=True)(
        block.to_delayed().item(), block.shape, function, *arguments, dask_key_name=f"{name}-{token[:12]}"
    )
    return _Tile(task, rows, samples)


def _of_block(block: Any, shape: tuple[int, int], function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on a block that is what the dask array says it is."""
    losses = read_block(lambda start, stop: block, 0, shape[0], shape[1])
    with one_blas_thread():
        return function(losses, *arguments)


def _tree_sum(tasks: list[Any]) -> Any:
    """Sum in pairs: a fixed order, and no task that holds more than two."""
    import dask

    plus = dask.delayed(add, pure=True)
    while len(tasks) > 1:
        pairs = [plus(*tasks[i : i + 2]) for i in range(0, len(tasks) - 1, 2)]
        tasks = pairs + tasks[len(tasks) - len(tasks) % 2 :]
    return tasks[0]


def _computed(tasks: list[Any], tiles: list[_Tile]) -> list[Any]:
    """Compute tasks where dask computes; an error says in which tile it arose.

    Raises
    ------
    ChunkError
        Whatever a task raised.
    """
    import dask

    try:
        return list(dask.compute(*tasks))
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # of distributed, which need not be installed
            key = getattr(error, "task", None)
            named = [str(tile) for tile in tiles if key in tile.task.__dask_graph__()] or [f"task {key!r}"]
            raise ChunkError(
                f"workers died time and again over {named[0]} of the losses, most likely for lack of memory; "
                "give them more, or make smaller chunks of datapoints with losses.rechunk"
            ) from error
        for tile in tiles:
            try:
                dask.compute(tile.task)
            except Exception as again:
                raise ChunkError(
                    f"{tile} of the losses cannot be read or reduced ({type(again).__name__}: {again}); "
                    "mend or leave out that part of the dask array"
                ) from again
        raise


def _columns(chunks: tuple[int, ...], together: int, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of datapoints: small chunks up to `together`, and none cut that is not wider than `most`.

    A chunk that several tiles share is read once for each, or kept for all of them.
    """
    left = right = 0
    for end in np.cumsum(chunks).tolist():
        if end - left > max(1, together) and right > left:
            yield left, right
            left = right
        right = end
        while right - left > max(1, most, together):
            yield left, left + max(1, most)
            left += max(1, most)
    if right > left:
        yield left, right
