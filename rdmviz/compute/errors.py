"""Exceptions of the compute module: each says the value, what was expected, and the way out."""

from __future__ import annotations

import traceback


class PlainError(Exception):
    """Base of the errors of bad input: a notebook shows what they say and nothing else.

    IPython's ``%tb`` shows the whole traceback after it, and ``%debug`` enters it as ever.
    """

    _shown = False

    def _render_traceback_(self) -> list[str]:
        """Return what IPython writes below the cell: what it says, and the traceback when asked again."""
        if self._shown:
            return traceback.format_exception(self)
        self._shown = True
        notes = getattr(self, "__notes__", [])
        return [
            f"\x1b[0;31m{type(self).__name__}\x1b[0m: {self}",
            *notes,
            "(%tb shows where this was raised.)",
        ]


class ComputeError(PlainError, ValueError):
    """Base of everything :mod:`rdmviz.compute` raises on bad input."""


class WindowError(ComputeError):
    """The window does not fit the rows, or is too short for the detrending."""


class DetrendError(ComputeError):
    """The detrending is not one of ``none``, ``constant``, ``linear``, ``quadratic``."""


class FlatWindowError(ComputeError):
    """Nothing fluctuates in the window: its covariance is zero and has no modes."""


class NonFiniteLossError(ComputeError):
    """The window holds NaN or infinite losses."""


class LossShapeError(ComputeError):
    """The losses are not a numeric ``rows x datapoints`` array with at least two datapoints."""


class NullError(ComputeError):
    """An option of a null has no meaning, or there is too little to tell noise from modes."""


class RepresentationError(ComputeError):
    """Representations without distances: wrong shape, changing width, NaN, zero vectors under arccos."""


class DistanceError(ComputeError):
    """The metric is unknown, or a matrix of distances or its spectrum does not hold what is asked of it."""


class LandscapeError(ComputeError):
    """A depth, weight decay or moment of the data for which there is no landscape."""


class WeightsError(ComputeError):
    """A weight matrix has no spectrum to speak of, or an option of the theory has no meaning."""


class SpinModelError(ComputeError):
    """A network has no spin model as it is given, or an option of the model has no meaning."""
