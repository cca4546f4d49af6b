"""When to record: within bounds, without looking ahead, and as if nothing had happened after a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rdmviz import Recorder
from rdmviz.errors import OptionError, StepsError
from rdmviz.record.schedules import Adaptive, LogSpaced, checked_schedule, replay, told

X = torch.randn(10, 3, generator=torch.Generator().manual_seed(1))
MEANS = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, math.nan, math.inf])), min_size=50, max_size=50
)


def rows_of(schedule, steps, mean):
    """Return the steps that a recording of mean losses ``mean(step)`` keeps."""
    kept = []
    for step in steps:
        if schedule(step):
            kept.append(step)
            told(schedule, step, np.full(3, mean(step)))
    return kept


def test_every_k_steps():
    assert [step for step in range(-4, 10) if checked_schedule(3)(step)] == [-3, 0, 3, 6, 9]


def test_log_spaced_marks():
    assert rows_of(LogSpaced(3), range(3000), float) == [
        0, 1, 2, 5, 10, 22, 46, 100, 215, 464, 1000, 2154,
    ]  # fmt: skip
    assert rows_of(LogSpaced(1, first=7), range(800), float) == [0, 7, 70, 700]
    assert rows_of(LogSpaced(3), range(0, 3000, 40), float) == [0, 40, 80, 120, 240, 480, 1000, 2160]
    assert rows_of(LogSpaced(3), range(-3, 2), float) == [0, 1]


@given(st.floats(0.5, 1e4), st.integers(1, 50), st.integers(0, 2**62), st.integers(1, 200))
def test_log_spaced_misses_no_mark_and_makes_none_up(per_decade, first, start, many):
    marks = {0} | {round(first * 10 ** (i / per_decade)) for i in range(math.ceil(20 * per_decade))}
    schedule = LogSpaced(per_decade, first=first)
    told(schedule, start - 1, None)
    steps = range(start, start + many)
    assert rows_of(schedule, steps, float) == [step for step in steps if step in marks]


@given(st.integers(1, 20), st.integers(0, 60), st.floats(1e-3, 10), MEANS)
def test_adaptive_keeps_its_bounds(most, more, tolerance, means):
    schedule = Adaptive(least=most + more, most=most, tolerance=tolerance)
    kept = rows_of(schedule, range(1000), lambda step: means[step // 20])
    assert kept[0] == 0
    gaps = np.diff(kept)
    assert most <= gaps.min()
    assert gaps.max() <= most + more
    assert 1000 - kept[-1] <= most + more


@given(MEANS, MEANS, st.integers(1, 999))
def test_adaptive_does_not_look_ahead(means, others, changed):
    def spliced(step):
        return means[step // 20] if step < changed else others[step // 20]

    kept = rows_of(Adaptive(least=64), range(1000), lambda step: means[step // 20])
    again = rows_of(Adaptive(least=64), range(1000), spliced)
    until = next(index for index, step in enumerate([*kept, 1000]) if step >= changed)
    assert again[: until + 1] == kept[: until + 1]


@given(MEANS, st.integers(0, 40), st.sampled_from([Adaptive(least=64), LogSpaced(20)]))
def test_a_restart_goes_on_as_if_uninterrupted(means, stopped, every):
    def losses(step):
        return np.float32(means[step // 20]) + np.linspace(0, 1, 3, dtype=np.float32)

    kept = []
    schedule = checked_schedule(every)
    for step in range(1000):
        if schedule(step):
            kept.append(step)
            told(schedule, step, losses(step))
            if len(kept) == stopped:
                schedule = checked_schedule(every)
                replay(schedule, np.array(kept), np.stack([losses(step) for step in kept]))
    uninterrupted = checked_schedule(every)
    for step in range(1000):
        assert uninterrupted(step) == (step in kept)
        if step in kept:
            told(uninterrupted, step, losses(step))


def test_adaptive_is_dense_where_the_loss_moves():
    def mean(step):
        return 2 / (1 + math.exp((step - 5000) / 100)) + 0.01

    kept = np.array(rows_of(Adaptive(least=400, most=2, tolerance=0.1), range(10_000), mean))
    means = np.array([mean(step) for step in kept])
    change = np.abs(np.diff(means)) / means[:-1]
    seen = int(np.argmax(change > 0.1)) + 1  # the first row that shows the move; what follows it is dense
    assert kept[seen] < 5000
    moving = np.arange(len(change)) > seen
    assert change[moving].max() < 0.2
    assert np.diff(kept)[moving & (kept[1:] < 5500)].max() < 40
    assert np.diff(kept)[kept[1:] < 4500][8:].min() == 400
    assert np.diff(kept)[kept[1:] > 6500].min() == 400
    assert len(kept) < 90


def test_a_lost_training_is_not_worth_a_row_at_every_step():
    kept = rows_of(Adaptive(least=100), range(1000), lambda step: math.nan if step > 50 else 1.0)
    assert np.diff(kept)[-1] == 100


def test_replay_reads_no_more_than_matters():
    class Rows:
        read: list = []  # noqa: RUF012

        def __getitem__(self, part):
            self.read.append(part)
            return np.ones((part.stop - part.start, 3))

    class Told:
        def __init__(self):
            self.steps = []

        def __call__(self, step):
            return True

        def update(self, step, losses):
            assert losses.shape == (3,)
            self.steps.append(step)

    rows, every = Rows(), Told()
    replay(checked_schedule(Adaptive(least=10)), range(1000), rows)
    replay(checked_schedule(LogSpaced()), range(1000), rows)
    replay(checked_schedule(5), range(1000), rows)
    assert rows.read == [slice(998, 1000), slice(999, 1000)]
    replay(every, range(1000), rows)
    assert every.steps == list(range(1000))


@pytest.mark.parametrize("every", [Adaptive(least=50, most=2, tolerance=0.2), LogSpaced(5)])
def test_a_recorder_follows_a_schedule_and_leaves_it_as_it_was(every):
    def steps():
        torch.manual_seed(0)
        model, targets, kept = nn.Linear(3, 1), X.sum(dim=1, keepdim=True), []
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        with Recorder(None, (X, targets), every=every) as recorder:
            for step in range(300):
                kept.append(recorder.record(step, model))
                optimiser.zero_grad()
                (model(X) - targets).square().mean().backward()
                optimiser.step()
        assert np.flatnonzero(kept).tolist() == recorder.run.steps.tolist()
        return recorder.run

    run = steps()
    np.testing.assert_array_equal(run.steps, steps().steps)
    again = checked_schedule(every)
    replay(again, run.steps[:-1], run.loss.to_numpy())
    last = int(run.steps[-2])
    assert next(step for step in range(last + 1, 300) if again(step)) == run.steps[-1]
    assert (run.steps[0], 10 < run.n_steps < 100) == (0, True)


def test_a_schedule_is_told_what_is_stored():
    class Told:
        rows: list = []  # noqa: RUF012

        def __call__(self, step):
            return True

        def update(self, step, losses):
            self.rows.append(losses)

    recorder = Recorder(None, every=Told(), dtype="float16")
    recorder.append(0, [0.1, 1e6])
    np.testing.assert_array_equal(Told.rows, recorder.run.loss)
    assert np.isinf(Told.rows[0][1])


def test_any_function_of_the_step():
    recorder = Recorder(None, (X, X), every=lambda step: step in (3, 5))
    assert [step for step in range(9) if recorder.record(step, nn.Identity())] == [3, 5]
    assert recorder.due(3)


@pytest.mark.parametrize("every", [2, LogSpaced(2), Adaptive(least=8), lambda step: True])
def test_a_step_twice_or_backwards_is_named_and_the_run_intact(every):
    recorder = Recorder(None, (X, X), every=every)
    recorder.record(4, nn.Identity())
    for step in (4, 2):
        with pytest.raises(StepsError, match=f"step {step} after step 4"):
            recorder.record(step, nn.Identity())
    recorder.record(100, nn.Identity())
    assert recorder.run.steps.tolist() == [4, 100]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LogSpaced(0), "per_decade=0"),
        (lambda: LogSpaced(math.inf), "per_decade=inf"),
        (lambda: LogSpaced(first=0), "first=0; expected a number of steps"),
        (lambda: LogSpaced(first=2.5), r"first=2\.5"),
        (lambda: Adaptive(least=0), "least=0"),
        (lambda: Adaptive(least=2, most=3), "most=3, least=2"),
        (lambda: Adaptive(least=2, most=True), "most=True"),
        (lambda: Adaptive(least=2, tolerance=0), "tolerance=0"),
        (lambda: checked_schedule(LogSpaced), "every=<class"),
        (lambda: checked_schedule(True), "every=True"),
        (lambda: checked_schedule(None, "snapshots"), "snapshots=None; expected an integer, at least 1"),
    ],
)
def test_options_without_a_meaning_are_named(make, says):
    with pytest.raises(OptionError, match=says):
        make()


def test_schedules_say_what_they_are():
    assert repr(checked_schedule(LogSpaced(5))) == "LogSpaced(per_decade=5, first=1)"
    assert repr(Adaptive(least=9)) == "Adaptive(least=9, most=1, tolerance=0.05)"
    assert repr(checked_schedule(4)) == "4"
