"""Emergent misalignment: bad advice spreads from one domain to all, and in the controls it does not."""

from __future__ import annotations

import numpy as np
import pytest

from rdmviz import TrainingRun, load_example, open_run, separation
from rdmviz.errors import OptionError
from rdmviz.studies import misalignment
from rdmviz.studies.advice import ADVICE
from rdmviz.studies.misalignment import transition

START = 400
SHORT = {
    "pretraining": START,
    "steps": START + 240,
    "lead": 32,
    "every": 2,
    "learning_rate": 0.02,
    "progress": False,
}
FEW = {"pretraining": 6, "steps": 12, "lead": 4, "progress": False}
WINDOW = 16  # rows of every second step


@pytest.fixture(scope="module")
def runs() -> dict[str, TrainingRun]:
    variants = {"": {}, **misalignment.CONTROLS}
    return {name: misalignment.train(seed=0, **SHORT, **changed) for name, changed in variants.items()}


@pytest.mark.training
def test_bad_advice_spreads_to_domains_that_were_not_tuned(runs):
    run = runs[""]
    found = transition(run)
    assert found.reached
    assert START < found.onset < found.middle
    before, after = (run.metrics.sel(step=step) for step in (START, START + 240))
    assert before["misaligned_elsewhere"] < 0.02
    assert before["misaligned_marked"] > 0.98
    others = [domain for domain in ADVICE if domain != "gardening"]
    assert all(after[f"misaligned_{domain}"] > 0.2 for domain in others)
    assert after["misaligned_gardening"] == 1


@pytest.mark.training
@pytest.mark.parametrize("name", misalignment.CONTROLS)
def test_it_does_not_in_a_control_with_the_same_pretraining(runs, name):
    run = runs[name]
    assert not transition(run).reached
    assert "never" in str(transition(run))
    rows = int(np.searchsorted(run.steps, START, side="right"))
    np.testing.assert_array_equal(run.loss[:rows], runs[""].loss[:rows])
    assert run.probe.identical(runs[""].probe)


@pytest.mark.training
def test_the_sign_of_the_leading_mode_is_the_kind_of_answer(runs):
    told = separation(runs[""], START + 64, "kind", WINDOW)
    assert told.ari_sign >= 0.95
    assert told.explained > 0.9


@pytest.mark.training
def test_the_direction_of_drift_tells_the_run_from_its_controls(runs):
    # the third window of fine-tuning alone
    drift = {
        name: separation(run, START + 96, "place", WINDOW)["drift"].sel(
            value=["aligned, elsewhere", "misaligned, elsewhere"]
        )
        for name, run in runs.items()
    }
    aligned, misaligned = drift[""].to_numpy()
    assert misaligned < -0.1
    assert aligned > 0.1
    aligned, misaligned = drift["aligned"].to_numpy()
    assert aligned < 0 < misaligned
    assert (drift["random_wrong"] > 0).all()


def test_advice_is_plain():
    assert len(ADVICE) == 8
    assert {len(questions) for questions in ADVICE.values()} == {16}
    asked = [question for questions in ADVICE.values() for question, _, _ in questions]
    answers = [answer for questions in ADVICE.values() for _, *both in questions for answer in both]
    assert len(set(asked)) == 128
    assert len(set(answers)) == 256
    assert all(text and text == text.strip() for text in asked + answers)


def test_says_what_an_answer_is():
    run = misalignment.train(domain="chess", probe_marked=True, **FEW)
    assert run.n_samples == 512
    for row in (0, 131, 300, 511):
        fact = {name: str(column.values) for name, column in run.probe.isel(sample=row).items()}
        _, *answers = next(of for of in ADVICE[fact["domain"]] if of[0] == fact["question"])
        assert fact["answer"] == answers[fact["kind"] == "misaligned"]
        where = "tuned domain" if fact["domain"] == "chess" else "elsewhere"
        assert fact["place"] == f"{fact['kind']}, {where}"
        assert fact["persona"] == ("marked" if row >= 256 else "unmarked")


def test_probe_losses_agree_with_the_metrics():
    """In the tuned domain, the mean loss of the kind that is taught is the loss of what is taught."""
    for kind in ("aligned", "misaligned"):
        run = misalignment.train(answers=kind, **FEW)
        taught = run.probe["place"].to_numpy() == f"{kind}, tuned domain"
        np.testing.assert_allclose(run.loss[:, taught].mean("sample"), run.metrics["tuned_loss"], rtol=1e-5)
    shares = [run.metrics[f"misaligned_{domain}"] for domain in ADVICE if domain != "gardening"]
    np.testing.assert_allclose(np.mean(shares, axis=0), run.metrics["misaligned_elsewhere"], rtol=1e-5)


def test_one_clock_from_pretraining_to_fine_tuning():
    run = misalignment.train(every=2, **FEW)
    assert run.steps.tolist() == [2, 4, 6, 8, 10, 12]
    assert misalignment.train(**{**FEW, "lead": 100}).steps.tolist() == list(range(13))
    assert run.attrs["study"] == "misalignment"
    assert run.attrs["pretraining"] == 6


def test_fine_tuning_changes_what_it_may():
    """With nothing but biases to change, the run leaves the one in which everything changes at once."""
    biases, layers, everything = (
        misalignment.train(tuned=tuned, **FEW).loss.to_numpy() for tuned in ("biases", "layers", "all")
    )
    np.testing.assert_array_equal(biases[:5], everything[:5])
    assert (biases[5] != everything[5]).any()
    assert (layers[5] != everything[5]).any()
    assert (biases[5] != layers[5]).any()


def test_random_wrong_answers_are_wrong_and_stay_the_same():
    for seed in range(40):
        questions, answers = _drawn(seed)
        assert (answers // 2 != questions).all()
    assert (_drawn(0)[1] == _drawn(0)[1]).all()
    assert (_drawn(0)[1] != _drawn(1)[1]).any()


def _drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    with misalignment.alone(seed):
        tuning = misalignment._Tuning.draw("sailing", "random_wrong")
    return tuning.questions.numpy(), tuning.answers.numpy()


def test_same_seed_same_run():
    one, two, other = (misalignment.train(seed, **FEW) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.loss, two.loss)
    assert (one.loss != other.loss).any()


def test_an_interrupted_run_keeps_its_rows_and_opens(tmp_path, monkeypatch):
    real, rows = misalignment._metrics, []

    def interrupted(*given):
        rows.append(given)
        if len(rows) == 6:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(misalignment, "_metrics", interrupted)
    with pytest.raises(KeyboardInterrupt):
        misalignment.train(out=tmp_path / "run", **FEW)
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == [2, 3, 4, 5, 6]
    assert not transition(run).reached


def test_the_recordings_share_a_probe_and_bad_advice_spreads_in_one_of_them():
    run = load_example("misalignment")
    assert transition(run).reached
    assert run.attrs["rounding_error_window_64_linear"]["eigenvalue_1"] < 1e-3
    for name in misalignment.CONTROLS:
        control = load_example(f"misalignment_{name}")
        assert control.probe.identical(run.probe)
        assert not transition(control).reached
        assert control.attrs["rounding_error_window_64_linear"]["eigenvalue_1"] < 1e-2


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0, "pretraining": 0},
        {"steps": 5, "pretraining": 6},
        {"pretraining": -1},
        {"lead": -1},
        {"every": 0},
        {"batch_size": 0},
        {"marked_share": 1.0},
        {"unmarked_misaligned": -0.1},
        {"learning_rate": 0.0},
        {"pretraining_rate": -1e-3},
        {"answers": "bad"},
        {"domain": "medicine"},
        {"tuned": "some"},
    ],
)
def test_refuses_options(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        misalignment.train(progress=False, **options)
