"""Pictures of datapoints: what a probe may hold as images, and in which form it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from rdmviz.errors import ProbeError

__all__ = ["CHANNELS", "checked_pictures", "picture_dims"]

CHANNELS = (1, 3, 4)


def picture_dims(name: str, ndim: int) -> tuple[str, ...]:
    """Dimensions of a picture column: of its own, so that columns may differ in size."""
    return ("sample", f"{name}_row", f"{name}_column", f"{name}_channel")[:ndim]


def checked_pictures(name: str, array: np.ndarray, samples: int) -> np.ndarray:
    """Return pictures ``(n, height, width)`` or ``(n, height, width, channels)`` as uint8 or float32.

    Grey, RGB or RGBA (1, 3 or 4 channels); uint8, or floats in 0..1; booleans become 0 and 255. A picture
    that is NaN throughout is missing; one that is masked throughout becomes such.

    Raises
    ------
    ProbeError
        Another shape, another kind of number, or floats beyond 0..1.
    """
    if array.shape[0] != samples or (array.ndim == 4 and array.shape[3] not in CHANNELS) or 0 in array.shape:
        first = array.ndim == 4 and array.shape[1] in CHANNELS
        way = f". Channels come last: numpy.moveaxis({name}, 1, -1)" if first else ""
        raise ProbeError(
            f"pictures in probe column {name!r} have shape {array.shape}; expected ({samples}, height, "
            f"width) or ({samples}, height, width, 1, 3 or 4 channels){way}"
        )
    if array.dtype.kind == "b":
        return np.asarray(array, np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ProbeError(
            f"pictures in probe column {name!r} have dtype {array.dtype}; expected uint8, or floats in 0..1. "
            "Convert them first, for example images.astype('uint8')"
        )
    if isinstance(array, np.ma.MaskedArray):
        array = _filled(array)
    if array.dtype == np.uint8:
        return np.array(array)
    low, high = np.nanmin(array, initial=np.inf), np.nanmax(array, initial=-np.inf)
    if low < 0 or high > 1:
        raise ProbeError(
            f"pictures in probe column {name!r} reach from {low:.3g} to {high:.3g}; expected floats in 0..1, "
            "or uint8. Undo their normalisation, for example (images - images.min()) / numpy.ptp(images)"
        )
    return np.array(array, np.float32)


def _filled(array: Any) -> np.ndarray:
    """Masked pixels as NaN, which only floats can be."""
    if not np.ma.is_masked(array):
        return np.asarray(array.data)
    scale = 255 if array.dtype == np.uint8 else 1
    return np.asarray((array.astype(np.float32) / np.float32(scale)).filled(np.nan))
