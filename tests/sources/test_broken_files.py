"""Whatever the bytes of a file are: a run, or an exception of rdmviz that says what is wrong."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdmviz import open_run
from rdmviz.errors import PlainError

SUFFIXES = (".csv", ".json", ".jsonl", ".npz", ".parquet")


def whole_files() -> dict[str, bytes]:
    frame = pd.DataFrame(
        [(step, name, step + len(name) / 7) for step in (0, 5) for name in ("a", "bc", "é")],
        columns=["step", "sample", "loss"],
    )
    archive, parquet = io.BytesIO(), io.BytesIO()
    np.savez(archive, loss=np.arange(6.0).reshape(3, 2), steps=np.arange(3), name=np.array(["x", "y"]))
    frame.to_parquet(parquet)
    return {
        ".csv": frame.to_csv(index=False).encode(),
        ".json": json.dumps({"columns": list(frame), "data": frame.to_numpy(object).tolist()}).encode(),
        ".jsonl": frame.to_json(orient="records", lines=True).encode(),
        ".npz": archive.getvalue(),
        ".parquet": parquet.getvalue(),
    }


WHOLE = whole_files()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("broken")


def check_opened_or_refused(path: Path) -> None:
    try:
        told = repr(open_run(path))
    except PlainError as error:
        told = str(error)
    assert 20 < len(told) < 1000  # it says what is there or wrong, and not all of it


def broken(whole: bytes, seed: int) -> bytes:
    """Cut, change, repeat or remove a few bytes."""
    rng, content = random.Random(seed), bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(content) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del content[place:]
        elif kind == 1 and place < len(content):
            content[place] = rng.choice([0, 255, rng.randrange(256), *b'",[]{}0e-:\n'])
        elif kind == 2:
            content[place:place] = bytes(rng.choice([b"\xff", b"9" * 400, b"\x00", b'"', b"-", b"[" * 3000]))
        elif kind == 3:
            del content[place : place + rng.randint(1, 20)]
        else:
            content[place:place] = content[: rng.randrange(60)]
    return bytes(content)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=60, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_files_that_were_damaged(folder, suffix, seed):
    path = folder / f"damaged{suffix}"
    path.write_bytes(broken(WHOLE[suffix], seed))
    check_opened_or_refused(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_files_of_any_bytes(folder, suffix, content):
    path = folder / f"any{suffix}"
    path.write_bytes(content)
    check_opened_or_refused(path)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 1e308, 5e-324, -0.0]),
    st.floats(),
    st.sampled_from(["", "a", "b", "1", "1e5", "nan", "_", "\x1b[2J", "\ud800", "٣", "\x00"]),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.just("_type"), st.just("image"), max_size=1),
)
COLUMNS = st.lists(
    st.sampled_from(["step", "_step", "sample", "id", "loss", "nll", "epoch", "fact", "", "metrics/a", 0, 1]),
    min_size=1,
    max_size=5,
    unique_by=str,
)


@st.composite
def tables(draw: Any) -> dict[str, Any]:
    columns = draw(COLUMNS)
    width = len(columns)
    rows = draw(st.lists(st.lists(ODD, min_size=width, max_size=width), max_size=6))
    return {"columns": columns, "data": rows}


@settings(max_examples=150, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_tables_of_any_cells(folder, table):
    path = folder / "cells.json"
    path.write_text(json.dumps(table))
    check_opened_or_refused(path)


@settings(max_examples=100, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "guid": ODD,
                "gold": st.one_of(st.integers(0, 1), ODD),
                "logits_epoch_0": st.one_of(
                    st.lists(st.floats(), min_size=2, max_size=2), st.lists(ODD, max_size=3)
                ),
            },
        ),
        max_size=4,
    )
)
def test_training_dynamics_of_any_values(folder, lines):
    here = folder / "dynamics"
    here.mkdir(exist_ok=True)
    (here / "dynamics_epoch_0.jsonl").write_text("\n".join(map(json.dumps, lines)))
    check_opened_or_refused(here)
