"""Thumbnails: averaged, in colour, transparent where there is nothing."""

import numpy as np
import pytest

from rdmviz.analysis.thumbnails import thumbnails
from rdmviz.errors import OptionError, ProbeError
from rdmviz.run import TrainingRun

RNG = np.random.default_rng(2)
PHOTO = RNG.integers(0, 256, (6, 130, 40, 4)).astype(np.uint8)
GREY = RNG.random((6, 9, 7)).astype(np.float32)
GREY[2] = np.nan
GREY[3, 0] = np.nan
RUN = TrainingRun.from_arrays(np.ones((2, 6)), probe={"photo": PHOTO, "grey": GREY})


def test_small_pictures_stay_as_they_are():
    pixels, missing = thumbnails(RUN, "grey", [5, 2, 3])
    np.testing.assert_array_equal(pixels[0, ..., :3], np.rint(255 * GREY[5])[..., None].repeat(3, -1))
    assert missing.tolist() == [False, True, False]
    assert not pixels[1].any()
    assert (pixels[2, 0, :, 3] == 0).all()
    assert (pixels[2, 1:, :, 3] == 255).all()


def test_large_pictures_are_averaged_over_squares():
    pixels, _ = thumbnails(RUN, "photo", [1], side=20)
    means = PHOTO[1, :126, :35].reshape(18, 7, 5, 7, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels[0], means, atol=0.5001)


def test_a_picture_one_pixel_wide_keeps_its_pixel():
    line = np.arange(12, dtype=np.uint8).reshape(2, 6, 1)
    pixels, _ = thumbnails(
        TrainingRun.from_arrays(np.ones((2, 2)), probe={"line": line}), "line", [0], side=3
    )
    np.testing.assert_array_equal(pixels[0, :, 0, 0], np.rint([0.5, 2.5, 4.5]))


def test_nobody_is_no_error():
    pixels, missing = thumbnails(RUN, "photo", np.empty(0, int))
    assert (pixels.shape, missing.shape) == ((0, 43, 13, 4), (0,))


def test_what_is_not_there_is_refused():
    with pytest.raises(ProbeError, match="this run has 'photo', 'grey'"):
        thumbnails(RUN, "drawing", [0])
    with pytest.raises(ProbeError, match="datapoint 6"):
        thumbnails(RUN, "photo", [6])
    with pytest.raises(OptionError, match="at least one pixel"):
        thumbnails(RUN, "photo", [0], side=0)
