"""Modes along a run, for scrubbing: oriented so that pictures never flip, whatever the path."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.group_path import MODES, groups_along
from rdmviz.analysis.of_a_run import require_run
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm.continuation import SPARE
from rdmviz.compute.rdm.detrending import Detrend, check_window
from rdmviz.compute.rdm.followed import FollowedSigns
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.modes import WindowModes, check_modes
from rdmviz.compute.rdm.pairs import correlation, directions
from rdmviz.compute.rdm.signs import SignChain
from rdmviz.compute.rdm.windows import FLAT, WindowTraces, stillness, window_traces

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Floats = NDArray[np.float64]

_LONGEST_SOLVED = 64  # rows; longer windows take their orientation from modes that are followed


@dataclass(frozen=True, eq=False)
class ModeFrame:
    """Spectrum and leading modes of one window.

    Attributes
    ----------
    index, step
        Recorded row at which the window ends, and its training step.
    eigenvalues
        All eigenvalues that can differ from zero, descending, at least 0, loss².
    vectors
        Unit eigenvectors ``(k, n)``, oriented along the run.
    drift
        Displacement of the losses along each vector across the window, loss.
    displacement
        Displacement of each datapoint's loss across the window, ``(n,)``, loss: of the straight line fitted
        to it, last minus first.
    trace
        Total variance, loss².
    fluctuations
        ``fluctuations(samples)`` gives the detrended rows X of some datapoints, ``(window, m)``, loss; the
        covariance is ``X^T X / nu``. All of them without an argument.
    nu
        Degrees of freedom, ``window - degree - 1``.
    size
        Of each datapoint's losses in the window, to which rounding is relative, ``(n,)``, loss.
    """

    index: int
    step: int
    eigenvalues: Floats
    vectors: Floats
    drift: Floats
    displacement: Floats
    trace: float
    fluctuations: Callable[..., Floats]
    nu: int
    size: Floats

    @property
    def participation_ratio(self) -> float:
        """Number of modes that take part, ``(Tr C)² / Tr C²``."""
        shares = self.eigenvalues / self.trace
        return float(1 / (shares @ shares))

    def covariance(self, samples: NDArray[np.intp]) -> Floats:
        """2RDM of some of the datapoints, ``(m, m)``, loss²."""
        rows = self.fluctuations(samples)
        return np.asarray(rows.T @ rows / self.nu)

    def correlation(self, samples: NDArray[np.intp]) -> Floats:
        """Correlations of some of the datapoints, ``(m, m)``; NaN for those that do not move."""
        return correlation(self.fluctuations(samples), self._still(samples))

    def directions(self, samples: NDArray[np.intp]) -> Floats:
        """Fluctuations of unit norm, ``(window, m)``; NaN for datapoints that do not move."""
        return directions(self.fluctuations(samples), self._still(samples))

    def _still(self, samples: NDArray[np.intp]) -> Floats:
        rows = self.nu + 1
        return np.asarray(stillness(FLAT**2 * rows * self.size[samples] ** 2))


class ModePath:
    """Modes at any recorded row, with signs and group labels that stay the same along the run.

    The answer at a row never depends on earlier calls. Modes with equal eigenvalues, whose vectors are
    arbitrary, are turned onto those of the window before. Safe to use from several threads.

    Parameters
    ----------
    run
        The run.
    window, detrend
        Rows per trailing window, and what is removed in each (see :func:`rdmviz.analyze`).
    modes
        At most so many eigenvectors.

    Raises
    ------
    OptionError
        If `run` is not a TrainingRun.
    WindowError, DetrendError
        If the window does not fit the run or the detrending, or the detrending is unknown.
    """

    def __init__(
        self, run: TrainingRun, window: int = 64, detrend: Detrend = "constant", modes: int = 8
    ) -> None:
        require_run(run, "ModePath")
        self.run = run
        self.window = check_window(window, detrend, run.n_steps)
        self.detrend = detrend
        self.modes = check_modes(modes)
        self._groups = groups_along(run, self.window, detrend, min(self.modes, MODES))
        self._lock = threading.RLock()
        self._chain: SignChain | FollowedSigns | None = None

    @property
    def first(self) -> int:
        """Row at which the first full window ends."""
        return self.window - 1

    def go_on_in(self, run: TrainingRun) -> None:
        """Take over the same run with more rows (see :func:`rdmviz.analysis.grown`): answers stay."""
        with self._lock:
            self.run = run
            if self._chain is not None:
                self._chain.go_on_in(*self._gram_and_traces(), run.rows)

    def at(self, index: int) -> ModeFrame:
        """Modes of the window that ends at row `index`.

        Raises
        ------
        FlatWindowError
            If nothing moves in the window.
        NonFiniteLossError
            If it holds a NaN or infinite loss.
        WindowError
            If no full window ends there.
        """
        with one_blas_thread(), self._lock:
            found = self._solve(index, SPARE)  # equal modes may lie on both sides of the last
            turn = self._sign_chain().turn(int(index), found.left, found.eigenvalues)[: self.modes]
            vectors, drift = turn @ found.vectors, turn @ found.drift
        return ModeFrame(
            index=int(index),
            step=int(self.run.steps[index]),
            eigenvalues=found.eigenvalues,
            vectors=vectors,
            drift=drift,
            displacement=found.displacement,
            trace=found.trace,
            fluctuations=found.fluctuations,
            nu=found.nu,
            size=np.abs(self.run.rows(index, index + 1)[0].astype(np.float64)) + np.abs(found.displacement),
        )

    def groups_at(self, index: int) -> NDArray[np.int64]:
        """Group of each datapoint at row `index`, ``(n,)``, with labels that stay along the run.

        The ones of :func:`rdmviz.groups` under the same settings; up to four leading modes count. Raises as
        :meth:`at` does.
        """
        return self._groups.at(index).labels

    def _solve(self, index: int, spare: int = 0) -> WindowModes:
        run = self.run
        return modes_of(run, int(index), self.window, self.detrend, self.modes + spare)

    def _sign_chain(self) -> SignChain | FollowedSigns:
        if self._chain is None:
            gram, traces = self._gram_and_traces()
            kind = SignChain if self.window <= _LONGEST_SOLVED else FollowedSigns
            rows = self.run.rows
            self._chain = kind(gram, traces, rows, self.modes, lambda row: self._solve(row, SPARE).left)
        return self._chain

    def _gram_and_traces(self) -> tuple[BandedGram, WindowTraces]:
        gram = gram_of(self.run, self.window)
        return gram, window_traces(gram, self.window, self.detrend, self.run.rows, workers=cores())
