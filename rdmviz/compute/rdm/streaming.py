"""The trailing window of a run that is still growing: a row comes in, its observables come out.

A ring holds the last ``window`` rows and a ring Gram their inner products, so that a row costs one
matrix-vector product with the ring. The products are taken of the losses minus an *anchor*: a row, plus a
polynomial of the kind that the detrending removes. Window covariances do not see it, and without it the large
common mean of the losses, or their drift, would eat the digits of the fluctuations. It is fitted anew to the
losses in the window where it no longer fits, which shows in a result much smaller than what it was subtracted
from (a loss that fell by orders of magnitude, a spike that has left), and every few windows in any case.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import LossShapeError, WindowError
from rdmviz.compute.rdm import observables
from rdmviz.compute.rdm.detrending import basis, check_window, degree, degrees_of_freedom, extrapolated
from rdmviz.compute.rdm.gram import DIGITS
from rdmviz.compute.rdm.modes import WindowModes, window_modes
from rdmviz.compute.rdm.rows import SLAB_BYTES, fluctuations_of
from rdmviz.compute.rdm.sums import Scratch, projected, units
from rdmviz.compute.rdm.windows import FLAT, stillness
from rdmviz.compute.warning.indicators import of_one_window

Floats = NDArray[np.float64]

_WINDOWS_PER_ANCHOR = 8  # an anchor that is extrapolated further rounds relative to losses long gone
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class WindowObservables:
    """Observables of one trailing window, by the definitions of the batch path.

    NaN until the window is full and where it holds a row that is NaN, infinite or too large to be squared
    (`mean_loss`: where the last row is). Where nothing but rounding moves, the trace is exactly 0 and ratios
    are NaN.

    Attributes
    ----------
    row
        Rows appended before the last one of the window.
    trace, purity
        ``Tr C``, loss², and ``Tr C² / (Tr C)²``.
    participation_ratio, participation_ratio_unbiased
        ``(Tr C)² / Tr C²``, plain and corrected for the window's length.
    heat_capacity_variance, heat_capacity_total
        Variance of all n eigenvalues, loss⁴ (NaN beyond float64), and variance ``1'C1`` of the summed loss,
        loss².
    mean_loss
        Mean loss of the last row.
    mean_loss_variance, mean_loss_autocorrelation, mean_loss_slope
        Variance (ddof 1), lag-1 autocorrelation and absolute slope per unit of time of the mean loss in the
        window.
    """

    row: int
    trace: float = math.nan
    purity: float = math.nan
    participation_ratio: float = math.nan
    participation_ratio_unbiased: float = math.nan
    heat_capacity_variance: float = math.nan
    heat_capacity_total: float = math.nan
    mean_loss: float = math.nan
    mean_loss_variance: float = math.nan
    mean_loss_autocorrelation: float = math.nan
    mean_loss_slope: float = math.nan

    @property
    def square(self) -> float:
        """``Tr C²``, loss⁴; infinite or 0 where that leaves the range of float64."""
        return self.purity * self.trace * self.trace


class StreamingWindow:
    """Observables of the trailing window, row by row, equal to the batch path to ten digits.

    Parameters
    ----------
    n_samples
        Datapoints per row, two at least.
    window, detrend
        Rows per window; one of ``none``, ``constant``, ``linear``, ``quadratic``.

    Raises
    ------
    WindowError, DetrendError
        If the window is too short for the detrending, or the detrending is unknown.
    LossShapeError
        If there are fewer than two datapoints.

    Notes
    -----
    ``2 window n`` float64 are held: the losses as they came, and relative to the anchor. A row takes one pass
    over the latter; a new anchor takes ``2 window² n`` flops.
    """

    def __init__(self, n_samples: int, window: int, detrend: str = "linear") -> None:
        self.window = check_window(window, detrend, sys.maxsize)
        if n_samples < 2:
            raise LossShapeError(f"n_samples={n_samples}: expected two datapoints or more")
        self.detrend, self.n_samples = detrend, int(n_samples)
        self.nu = degrees_of_freedom(self.window, detrend)
        self._losses = np.zeros((self.window, self.n_samples))
        # Without detrending nothing is subtracted, and the losses are their own fluctuations.
        self._x = self._losses if detrend == "none" else np.zeros_like(self._losses)
        self._gram = np.zeros((self.window, self.window))
        self._anchor = np.zeros(self.n_samples)
        self._trend = np.zeros((degree(detrend) + 1, self.n_samples))
        # Per row, relative to zero and to the anchor without its trend: squared norm and sum.
        self._norms, self._sums, self._anchored_norms, self._anchored_sums, self._times = np.full(
            (5, self.window), np.nan
        )
        self._n_rows = 0
        self._anchored_at = -_WINDOWS_PER_ANCHOR * self.window  # due with the first full window
        self._kernel = np.zeros((self.window, self.window))
        self._scratch = Scratch()
        self._latest: WindowObservables | None = None

    @classmethod
    def from_rows(
        cls, losses: ArrayLike, window: int, detrend: str = "linear", times: ArrayLike | None = None
    ) -> StreamingWindow:
        """Go on where recorded rows ``(T, n)`` end; of more than ``window`` rows the last ones are kept."""
        block = np.asarray(losses)
        if block.ndim != 2:
            raise LossShapeError(f"losses of shape {block.shape}: expected (rows, datapoints)")
        stream = cls(block.shape[1], window, detrend)
        start = max(len(block) - stream.window, 0)
        stream._n_rows = start
        at = np.arange(len(block)) if times is None else np.asarray(times)
        for row in range(start, len(block)):
            stream.append(block[row], at[row])
        return stream

    @property
    def n_rows(self) -> int:
        """Rows appended so far."""
        return self._n_rows

    @property
    def latest(self) -> WindowObservables | None:
        """What the last :meth:`append` returned; None before the first."""
        return self._latest

    def append(self, losses: ArrayLike, time: float | None = None) -> WindowObservables:
        """Take in one row and return the observables of the window that ends there.

        Parameters
        ----------
        losses
            Loss of each datapoint, ``(n,)``, real numbers; NaN and infinite ones silence the window.
        time
            When the row was recorded (the training step), for the slope; the number of the row by default.

        Raises
        ------
        LossShapeError
            If the row is not ``n`` real numbers; nothing of it is kept.
        """
        given = np.asarray(losses)
        if given.shape != (self.n_samples,) or given.dtype.kind not in "fiu":
            raise LossShapeError(
                f"losses of shape {given.shape} and dtype {given.dtype}: "
                f"expected {self.n_samples} real numbers"
            )
        with np.errstate(all="ignore"):  # what leaves float64 is found by its not being finite
            slot = self._n_rows % self.window
            self._times[slot] = self._n_rows if time is None else time
            self._put(slot, given.astype(np.float64))
            self._n_rows += 1
            self._latest = self._observe()
        return self._latest

    def rows(self) -> Floats:
        """Return the losses of the rows in the window, oldest first, ``(up to window, n)``, a copy."""
        full = self._n_rows >= self.window
        return self._by_age(self._losses) if full else self._losses[: self._n_rows].copy()

    def spectrum(self) -> Floats:
        """All eigenvalues of the present window, ``(window,)``, descending, at least 0, loss².

        Of n eigenvalues at most ``window`` are not zero. Zero for a flat window, NaN for a silent one.
        """
        if self._latest is None or not np.isfinite(self._latest.trace):
            return np.full(self.window, np.nan)
        values = np.zeros(self.window)
        if self._latest.trace > 0:
            side = min(self.window, self.n_samples)
            values[:side] = np.maximum(np.linalg.eigvalsh(self._kernel)[::-1][:side], 0.0) / self.nu
        return values

    def modes(self, k: int = 8) -> WindowModes:
        """Spectrum and `k` leading eigenvectors of the present window, from its rows.

        Raises
        ------
        WindowError
            Before the first full window, or if `k` is not a count.
        FlatWindowError, NonFiniteLossError
            If nothing moves in the window, or it holds a loss that is NaN, infinite or too large to square.
        """
        if self._n_rows < self.window:
            raise WindowError(f"{self._n_rows} rows were appended; the first full window needs {self.window}")
        ring = self.rows()
        return window_modes(
            lambda start, stop: ring[start:stop], self.window - 1, self.window, self.detrend, k, self.window
        )

    def _put(self, slot: int, row: Floats) -> None:
        """Row into the ring and the ring Gram; NaN stays in its own row and column and leaves with them."""
        norm = float(row @ row)
        self._norms[slot] = norm if np.isfinite(norm) else np.nan
        self._sums[slot] = row.sum()
        self._losses[slot] = row
        moved = row - self._anchor
        self._anchored_norms[slot], self._anchored_sums[slot] = moved @ moved, moved.sum()
        if self.detrend != "none":
            ahead = self._n_rows + 1 - self._anchored_at
            self._x[slot] = moved - extrapolated(self.window, self.detrend, ahead) @ self._trend
        self._gram[slot] = self._gram[:, slot] = self._x @ self._x[slot]

    def _fit_anchor(self) -> None:
        """Anchor and trend of the present window, and its rows and Gram relative to them, from the losses."""
        q = self._in_slots(basis(self.window, self.detrend))
        self._anchor[:] = self._losses[(self._n_rows + self.window // 2) % self.window]
        self._anchored_at = self._n_rows
        self._anchored_norms[:] = self._anchored_sums[:] = 0.0
        if self.detrend != "none":
            self._gram[:] = 0.0
        width = max(1, SLAB_BYTES // (8 * self.window))
        for left in range(0, self.n_samples, width):
            here = slice(left, left + width)
            x = self._losses[:, here] - self._anchor[here]
            self._anchored_norms += np.einsum("ij,ij->i", x, x)
            self._anchored_sums += x.sum(axis=1)
            if self.detrend == "none":
                continue
            self._trend[:, here] = 0.0
            for _ in range(2):  # the second pass removes what rounding left of a large trend
                fit = q.T @ x
                x -= q @ fit
                self._trend[:, here] += fit
            self._x[:, here] = x
            self._gram += x @ x.T

    def _in_slots(self, by_age: Floats) -> Floats:
        """Reorder values per row of the window, oldest first, as the ring holds the rows."""
        return np.roll(by_age, self._n_rows % self.window, axis=0)

    def _by_age(self, in_slots: Floats) -> Floats:
        return np.roll(in_slots, -(self._n_rows % self.window), axis=0)

    def _observe(self) -> WindowObservables:
        w, row = self.window, self._n_rows - 1
        usable = np.isfinite(self._norms[row % w])
        mean = float(self._sums[row % w]) / self.n_samples if usable else np.nan
        if np.isnan(self._norms).any():  # not full yet, or a row that cannot be squared
            return WindowObservables(row, mean_loss=mean)
        trace, purity = self._traces()
        moves, pure = np.array([trace * 0 + (trace > 0), purity])  # Tr C in units of itself
        plain = self._norms.sum() < self._anchored_norms.sum()  # the smaller numbers keep more digits
        sums = self._by_age(self._sums if plain else self._anchored_sums)
        summed = self._by_age(self._sums) if self.detrend == "none" else sums
        total = fluctuations_of(summed[:, None], self.detrend)
        variance, correlation, slope = of_one_window(sums / self.n_samples, self._by_age(self._times))
        return WindowObservables(
            row=row,
            trace=trace,
            purity=purity,
            participation_ratio=float(observables.participation_ratio(moves, pure)),
            participation_ratio_unbiased=float(
                observables.participation_ratio_unbiased(moves, pure, self.nu)
            ),
            heat_capacity_variance=float(observables.heat_capacity_of_purity(trace, purity, self.n_samples)),
            heat_capacity_total=float(np.vdot(total, total)) / self.nu if trace != 0 else 0.0,
            mean_loss=mean,
            mean_loss_variance=variance,
            mean_loss_autocorrelation=correlation,
            mean_loss_slope=abs(slope),
        )

    def _traces(self) -> tuple[float, float]:
        """Trace and purity of the window, from a new anchor where the old one has cost digits or is old."""
        floor = float(stillness((FLAT**2 * self._norms).sum()))
        due = self._n_rows - self._anchored_at >= _WINDOWS_PER_ANCHOR * self.window
        found = None if due else self._projected(floor, DIGITS)
        if found is None:
            self._fit_anchor()
            found = self._projected(floor, np.inf)
        return found if found is not None else (np.nan, np.nan)

    def _projected(self, floor: float, digits: float) -> tuple[float, float] | None:
        """Trace and purity from the ring Gram; None where what was subtracted was `digits` times larger.

        Leaves the kernel ``nu K``, rows in the order of the ring, which neither traces nor spectra see.
        """
        unit = float(units(self._gram[None])[0])
        gram = self._gram if unit == 1 else self._gram * unit
        bases = self._in_slots(basis(self.window, self.detrend))[None]
        kernel = projected(gram[None], bases, self._scratch)[0]
        trace, size = float(np.trace(kernel)), float(np.trace(gram))
        square, norm = float(np.vdot(kernel, kernel)), float(np.vdot(gram, gram))
        self._kernel = kernel if unit == 1 else kernel / unit
        # Nothing moves, and rounding of what was subtracted cannot have hidden that something does.
        if trace <= floor * unit and (_EPS * size <= floor * unit or digits == np.inf):
            return 0.0, 0.0
        if not (size <= digits * trace and norm <= digits**2 * square):
            return None
        trace, purity = trace / unit / self.nu, square / trace**2
        return (trace, purity) if np.isfinite(trace) else None
