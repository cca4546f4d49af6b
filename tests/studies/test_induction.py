"""Induction heads, what is known about their sequences, and the controls in which none can form."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rdmviz import TrainingRun, load_example, open_run, separation
from rdmviz.errors import OptionError
from rdmviz.studies import induction
from rdmviz.studies.induction import AttentionOnly, transition
from rdmviz.studies.repeats import Read, draw

QUICK = {"steps": 330, "length": 32, "learning_rate": 4e-3, "progress": False}
"""Shorter sequences learned faster, for which a head forms in half the time."""


@pytest.fixture(scope="module")
def run() -> TrainingRun:
    return induction.train(seed=0, every=5, **QUICK)


@pytest.mark.training
def test_the_head_forms_and_the_loss_of_repeated_tokens_falls_with_it(run):
    found = transition(run)
    assert found.onset is not None
    assert found.end is not None
    assert 150 < found.onset < found.middle < found.end
    assert "half way at" in str(found)
    before, after = (run.metrics.sel(step=step) for step in (found.onset, found.end))
    assert before["loss_repeated"] - after["loss_repeated"] > 1
    assert abs(before["loss_other"] - after["loss_other"]) < 0.25
    assert after["in_context_loss"] < before["in_context_loss"] - 0.5


@pytest.mark.training
def test_the_previous_token_is_attended_to_before_anything_is_matched(run):
    assert run.first_step("previous_token", at_least=0.5) < run.first_step("prefix_matching", at_least=0.5)


@pytest.mark.parametrize("window", [64, 96])
def test_the_leading_mode_is_repeated_tokens_that_fall(window):
    run = load_example("induction")
    middle = run.first_step("prefix_matching", at_least=0.5)
    told = separation(run, run.step_around(middle, window), "type", window=window).sel(value="repeated")
    assert told.auc >= 0.9
    assert told.mass >= 0.85
    assert told.falling >= 0.85
    assert told.drift < -1.5
    assert told.size / run.n_samples < 0.3


def test_the_recording_is_of_the_recipe_there_is():
    run = load_example("induction")
    again = induction.train(seed=0, steps=3, progress=False)
    assert again.probe.identical(run.probe)
    np.testing.assert_allclose(again.loss, run.loss[:4], rtol=1e-4)
    assert transition(run).reached


@pytest.mark.training
@pytest.mark.parametrize("name", induction.CONTROLS)
def test_no_head_forms_in_a_control_of_the_same_probe(run, name):
    control = induction.train(seed=0, every=20, **QUICK, **induction.CONTROLS[name])
    assert not transition(control).reached
    assert transition(control).onset is None
    assert "never began" in str(transition(control))
    assert control.metrics["loss_repeated"].min() > 2.5
    assert control.probe.identical(run.probe)
    assert "control" in control.name


def test_a_passage_comes_twice_at_no_fixed_distance():
    tokens = draw(200, 40, 16)
    longest = []
    for row in tokens.tolist():
        runs = {}
        for lag in range(8, 40):
            length = best = 0
            for place in range(lag, 40):
                length = length + 1 if row[place] == row[place - lag] else 0
                best = max(best, length)
            runs[lag] = best
        lag = max(runs, key=runs.get)
        longest.append((lag, runs[lag]))
    lags, lengths = np.array(longest).T
    assert lengths.min() >= 8
    assert len(set(lags.tolist())) > 15
    assert (np.unique(tokens.numpy()) == np.arange(16)).all()


def test_without_repeats_few_tokens_can_be_copied():
    with_repeats, without = (Read.of(draw(200, 48, 32, repeats=how)).repeated for how in (True, False))
    assert with_repeats.float().mean() > 0.2
    assert without.float().mean() < 0.04


def test_reads_sequences_as_a_person_would():
    tokens = draw(6, 20, 5)
    read = Read.of(tokens)
    for n, row in enumerate(tokens.tolist()):
        for t in range(1, 20):
            followers = [s for s in range(1, t) if row[s - 1] == row[t - 1]]
            assert read.followers[n, t - 1].nonzero().flatten().tolist() == followers
            sources = [s for s in followers if row[s] == row[t]]
            assert read.sources[n, t - 1].nonzero().flatten().tolist() == sources
            assert bool(read.repeated[n, t - 1]) == bool(sources)
            assert int(read.candidates[n, t - 1]) == len({row[s] for s in followers})
            assert bool(read.misleading[n, t - 1]) == (bool(followers) and not sources)


def test_says_what_a_token_is():
    facts = Read.of(torch.tensor([[0, 1, 2, 0, 1, 0, 3, 0, 1, 2]])).describe()
    assert facts["token"][0, :4].tolist() == ["ant", "arm", "bay", "ant"]
    assert facts["text"][0, 4] == "ant arm bay ant [arm]"
    kinds = "new new new new repeated misleading misleading new repeated repeated".split()  # noqa: SIM905
    assert facts["type"][0].tolist() == kinds
    assert facts["candidates"][0].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 2, 2]
    np.testing.assert_array_equal(facts["lag"][0], [np.nan] * 4 + [3] + [np.nan] * 3 + [4, 7])
    long = Read.of(draw(1, 30, 8)).describe()["text"][0, 29]
    assert long.startswith("… ")
    assert len(long.split()) == 12


def test_is_causal_and_attends_to_everything_at_first():
    torch.manual_seed(0)
    model = AttentionOnly(vocabulary=8, length=12, layers=2, width=8, heads=2)
    tokens = draw(3, 12, 8)
    changed = tokens.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % 8
    torch.testing.assert_close(model(tokens)[:, :7], model(changed)[:, :7])
    assert not torch.allclose(model(tokens)[:, 7:], model(changed)[:, 7:])
    for pattern in model.read(tokens)[1]:
        torch.testing.assert_close(pattern.sum(dim=-1), torch.ones(3, 2, 12))
        assert (pattern.triu(diagonal=1) == 0).all()


def test_scores_are_one_for_perfect_heads():
    """Of two heads one looks at the token before, one at what followed earlier occurrences."""
    read = Read.of(draw(5, 16, 6))
    looks_back = torch.eye(16).roll(-1, dims=1).tril()[None].expand(5, 16, 16)
    matches = torch.zeros(5, 16, 16)
    matches[:, :-1] = read.followers / read.followers.sum(dim=2, keepdim=True).clamp(min=1)
    patterns = [looks_back[:, None], matches[:, None]]
    perfect = SimpleNamespace(read=lambda tokens: (torch.zeros(5, 16, 6), patterns))
    scores = induction._metrics(perfect, read)
    assert scores["prefix_matching"] == pytest.approx(1)
    assert scores["previous_token"] == pytest.approx(
        1
    )  # the first token, with none before it, does not count
    assert scores["loss_repeated"] == pytest.approx(np.log(6))
    assert scores["in_context_loss"] == pytest.approx(0, abs=1e-6)


def test_describes_its_probe():
    run = induction.train(seed=2, steps=4, every=2, probe_size=3, length=20, vocabulary=9, progress=False)
    assert run.steps.tolist() == [0, 2, 4]
    assert run.n_samples == 3 * 19
    assert list(run.probe) == ["sequence", "position", "token", "type", "text", "candidates", "lag"]
    assert run.probe["position"].to_numpy()[:19].tolist() == list(range(1, 20))
    for text, token in zip(run.probe["text"].to_numpy(), run.probe["token"].to_numpy(), strict=True):
        assert text.endswith(f"[{token}]")
    assert set(run.metrics) == {
        "prefix_matching",
        "previous_token",
        "loss_repeated",
        "loss_other",
        "in_context_loss",
    }
    assert run.attrs["study"] == "induction"


def test_same_seed_same_run_and_the_caller_is_left_alone():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    one, two, other = (induction.train(seed, steps=12, every=4, progress=False) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.loss, two.loss)
    assert one.metrics.identical(two.metrics)
    assert one.probe.identical(two.probe)
    assert not one.probe.identical(other.probe)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_keeps_what_was_recorded_before_an_interrupt(tmp_path, monkeypatch):
    measure, calls = induction._metrics, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(induction, "_metrics", interrupted)
    with pytest.raises(KeyboardInterrupt):
        induction.train(steps=20, every=2, out=tmp_path / "run", progress=False)
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == [0, 2, 4, 6, 8]
    assert np.isfinite(run.loss).all()
    assert not transition(run).reached


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"every": 0},
        {"layers": 0},
        {"heads": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"probe_size": 1},
        {"vocabulary": 1},
        {"vocabulary": 1000},
        {"length": 7},
        {"width": 2},
        {"width": 30},
    ],
)
def test_refuses_options(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))}={next(iter(options.values()))}"):
        induction.train(progress=False, **options)
