"""Pictures of datapoints: what a probe accepts, and that they come back from wherever a run is kept."""

import json

import numpy as np
import pytest

from rdmviz import TrainingRun, open_run
from rdmviz.analysis import grown
from rdmviz.errors import ProbeError, TruncatedStoreError
from rdmviz.store import RunWriter

RNG = np.random.default_rng(8)
N = 30
COLOUR = RNG.integers(0, 256, (N, 9, 7, 3)).astype(np.uint8)
GREY = RNG.random((N, 5, 6)).astype(np.float32)
GREY[4] = np.nan


def a_run(**probe):
    return TrainingRun.from_arrays(RNG.random((6, N)), probe={"kind": ["a", "b"] * (N // 2), **probe})


def test_pictures_stand_beside_the_facts():
    run = a_run(photo=COLOUR, grey=GREY)
    assert list(run.probe) == ["kind"]
    assert run.images["photo"].dims == ("sample", "photo_row", "photo_column", "photo_channel")
    assert run.images["grey"].dims == ("sample", "grey_row", "grey_column")
    np.testing.assert_array_equal(run.images["photo"], COLOUR)
    assert "photo" in repr(run)
    assert "photo" in run.tree["images"]


@pytest.mark.parametrize("place", ["run", "run.zip", "run.npz"])
def test_pictures_come_back_as_they_were(tmp_path, place):
    run = a_run(photo=COLOUR, grey=GREY)
    path = tmp_path / place
    if place == "run.npz":
        np.savez(path, loss=run.loss, steps=run.steps, kind=run.probe["kind"], photo=COLOUR, grey=GREY)
    else:
        run.save(path)
    opened = open_run(path)
    assert list(opened.probe) == ["kind"]
    for name, pictures in (("photo", COLOUR), ("grey", GREY)):
        column = opened.images[name]
        assert column.dtype == pictures.dtype
        np.testing.assert_array_equal(column[[7, 3, 4, 29]].values, pictures[[7, 3, 4, 29]])
        np.testing.assert_array_equal(column[4].values, pictures[4])
        np.testing.assert_array_equal(column[3:9:2, 1, [0, 2]].values, pictures[3:9:2, 1, [0, 2]])
        np.testing.assert_array_equal(column.values, pictures)
    again = open_run(opened.save(tmp_path / "again"))
    np.testing.assert_array_equal(again.images["grey"].values, GREY)


def test_opening_reads_no_picture(tmp_path):
    big = RNG.integers(0, 256, (N, 256, 256, 3)).astype(np.uint8)
    path = a_run(photo=big).save(tmp_path / "run")
    chunks = [file for file in (path / "probe" / "photo" / "c").rglob("*") if file.is_file()]
    assert len(chunks) == N, "a page of pictures reads those of the page"
    for file in chunks[1:]:
        file.unlink()
    opened = open_run(path)
    kept = int(chunks[0].relative_to(path / "probe" / "photo" / "c").parts[0])
    np.testing.assert_array_equal(opened.images["photo"][[kept]].values[0], big[kept])
    with pytest.raises(TruncatedStoreError, match="missing"):
        opened.images["photo"].values  # noqa: B018


def test_only_stores_with_pictures_ask_for_a_newer_reader(tmp_path):
    schema = {}
    for name, probe in (("plain", {}), ("drawn", {"grey": GREY})):
        head = json.loads((a_run(**probe).save(tmp_path / name) / "zarr.json").read_text())
        schema[name] = head["attributes"]["rdmviz"]["schema"]
    assert schema == {"plain": 1, "drawn": 2}


def test_damaged_pictures_are_told(tmp_path):
    path = a_run(grey=GREY).save(tmp_path / "run")
    head = json.loads((path / "probe" / "grey" / "zarr.json").read_text())
    head["shape"][0] = N + 1
    (path / "probe" / "grey" / "zarr.json").write_text(json.dumps(head))
    with pytest.raises(TruncatedStoreError, match="pictures"):
        open_run(path)


def test_a_run_with_pictures_can_be_replaced(tmp_path):
    path = a_run(photo=COLOUR).save(tmp_path / "run")
    a_run(photo=COLOUR[::-1]).save(path, overwrite=True)
    np.testing.assert_array_equal(open_run(path).images["photo"].values, COLOUR[::-1])


def test_masked_and_boolean_pictures():
    masked = np.ma.array(COLOUR, mask=False)
    masked[2] = np.ma.masked
    run = a_run(photo=masked, whole=np.ma.array(COLOUR), ink=GREY > 0.5)
    assert np.isnan(run.images["photo"][2]).all()
    np.testing.assert_allclose(run.images["photo"][3], COLOUR[3] / 255, atol=1e-6)
    assert run.images["whole"].dtype == np.uint8
    np.testing.assert_array_equal(np.unique(run.images["ink"]), [0, 255])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (COLOUR[1:], rf"shape \(29, 9, 7, 3\); expected \({N}, height, width\)"),
        (np.moveaxis(COLOUR, -1, 1), r"numpy.moveaxis\(photo, 1, -1\)"),
        (COLOUR[..., :2], "1, 3 or 4 channels"),
        (COLOUR.astype(int), "expected uint8, or floats"),
        (3 * GREY - 1, "reach from .* to .*; expected floats in 0..1"),
        (COLOUR[:, :0], "shape"),
        (np.full((N, 2, 2), np.inf), "reach from inf to inf"),
        (np.full((N, 2, 2), "x"), "expected uint8"),
    ],
)
def test_what_is_no_picture_is_refused(bad, says):
    with pytest.raises(ProbeError, match=says):
        a_run(photo=bad)


def test_a_recording_that_goes_on_keeps_its_pictures(tmp_path):
    writer = RunWriter(tmp_path / "run", N, probe={"photo": COLOUR}, flush_seconds=0)
    writer.append(0, np.ones(N))
    run = open_run(tmp_path / "run")
    writer.append(1, np.zeros(N))
    more = grown(run)
    assert more.n_steps == 2
    np.testing.assert_array_equal(more.images["photo"][[3]].values, COLOUR[[3]])
    writer.close()
