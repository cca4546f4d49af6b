"""The same losses in every memory layout that an array can come in."""

import numpy as np


def strided(losses):
    rows, columns = losses.shape
    wide = np.zeros((2 * rows, 3 * columns))
    wide[::2, 1::3] = losses
    return wide[::2, 1::3]


def unaligned(losses):
    buffer = np.zeros(losses.nbytes + 1, dtype=np.uint8)
    view = buffer[1:].view(losses.dtype).reshape(losses.shape)
    view[:] = losses
    assert not view.flags.aligned
    return view


def read_only(losses):
    copy = losses.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "strided": strided,
    "negative strides": lambda losses: losses[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": unaligned,
    "big-endian": lambda losses: losses.astype(">f8"),
    "extended precision": lambda losses: losses.astype(np.longdouble),
    "list": lambda losses: losses.tolist(),
}
