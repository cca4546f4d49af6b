"""Several processes recording one training: two ranks over gloo, started once, that do everything here."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from rdmviz import Recorder, open_run
from rdmviz.errors import OptionError
from rdmviz.record import GaussianSnapshots, Snapshots, distributed, per_sample_cross_entropy
from rdmviz.record.schedules import Adaptive

X = torch.randn(41, 6, generator=torch.Generator().manual_seed(1))  # odd: the shares differ in size
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
STEPS, EVERY = 40, 4
LAYERS = {"representations": ["0", "4"]}
IDS = torch.arange(7 * 5).reshape(7, 5) % 16  # seven sequences, for two ranks
SIZES = {"vocab_size": 16, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 1}


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 16),
        nn.BatchNorm1d(16), nn.Linear(16, 3),
    )  # fmt: skip


def train(rank: int, record=None) -> tuple[nn.Module, list[dict], int]:
    """Train data-parallel; return the model, its state at every recorded step, and calls of the wrapper."""
    model = DistributedDataParallel(make_model())
    calls: list[int] = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    torch.manual_seed(7 + rank)  # every rank draws batches and dropout of its own
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    saved = []
    for step in range(STEPS):
        if step % EVERY == 0:
            saved.append({name: value.clone() for name, value in model.module.state_dict().items()})
        if record is not None:
            record(step, model)
        batch = torch.randint(len(X), (8,))
        loss = cross_entropy(model(X[batch]), Y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.module, saved, len(calls)


def a_training(rank: int, folder: Path) -> dict:
    with Recorder(folder / "run", (X, Y), every=EVERY, batch_size=7) as recorder:
        recorded, saved, calls = train(rank, lambda step, model: recorder.record(step, model, {"rank": rank}))
    plain, _, _ = train(rank)
    return {
        "recorded": recorded.state_dict(),
        "plain": plain.state_dict(),
        "saved": saved,
        "calls": calls,
        "modes": all(module.training for module in recorded.modules()),
        "last_step": recorder.last_step,
    }


def a_rank_that_fails(rank: int, folder: Path) -> dict:
    failing: list[int] = []

    def loss_fn(outputs, targets):
        if rank in failing:
            raise ArithmeticError("no loss today")
        return per_sample_cross_entropy(outputs, targets)

    model, told = make_model(), []
    recorder = Recorder(folder / "failing", (X, Y), loss_fn=loss_fn)
    recorder.record(0, model)
    for failing in ([1], [0, 1], [0], []):  # noqa: B007  # the loss above looks at it
        told.append(words_of(lambda: recorder.record(1, model)))
    told.append(words_of(lambda: recorder.record(1, model)))  # again: a step of the past, on every rank
    # the ranks lost each other
    told.append(words_of(lambda: recorder.record(2 + rank, model)))
    recorder.record(5, model)
    # metrics are asked for on every rank, and rank 0 alone writes
    told.append(words_of(lambda: recorder.record(6, model, lambda: {"a": 1} if rank else 1 / 0)))
    told.append(words_of(lambda: recorder.run if rank else None))
    told.append(recorder.close() is None)
    return {"told": told}


def a_path_that_is_taken(rank: int, folder: Path) -> dict:
    if rank == 0:
        with Recorder(folder / "taken", (X, Y), distributed=False) as alone:
            alone.record(0, make_model())
    dist.barrier()
    told = [
        words_of(lambda: Recorder(folder / "taken", (X, Y))),
        words_of(lambda: Recorder(folder / "other", (X + rank, Y))),
        words_of(lambda: Recorder(folder / "every", (X, Y), every=0)),
    ]
    alone = Recorder(folder / "appended")
    alone.append(0, [1.0, 2.0])
    alone.append(3, [rank, 2.0])
    told.append(words_of(lambda: alone.append(3, [1.0, 2.0])))
    alone.flush()
    return {"told": told, "last_step": alone.last_step}


def a_share_without_datapoints(rank: int, folder: Path) -> dict:
    recorder = Recorder(None, (X, Y))
    recorder._ranks.share = lambda items: slice(0, items) if rank else slice(0, 0)
    recorder.record(0, make_model())
    return {"losses": None if rank else torch.tensor(recorder.run.loss.to_numpy().tolist())}


DRAWN = GaussianSnapshots(draws=12, samples=np.arange(1, 40, 3))


def snapshots(rank: int, folder: Path) -> dict:
    what = Snapshots(every=20, representations=["0", "4"], dtype=np.float16, gaussian=DRAWN)
    with Recorder(folder / "snapshots", (X, Y), every=EVERY, batch_size=7, snapshots=what) as recorder:
        recorded, saved, _ = train(rank, recorder.record)
    plain, _, _ = train(rank)
    alone = Recorder(None, (X, Y), snapshots=Snapshots(every=1, weights="spectra", representations=["0"]))
    alone._ranks.share = lambda items: slice(0, items) if rank else slice(0, 0)  # one without datapoints
    alone.record(0, make_model())
    odd = make_model()

    def call_the_first_again(*call) -> None:
        odd[0](X[:1])

    if rank == 1:
        odd[6].register_forward_hook(call_the_first_again)
    told = [words_of(lambda: alone.record(1, odd))]
    alone._ranks.share = lambda items: slice(20 * rank, 20 + 21 * rank)
    wider = nn.Sequential(nn.Linear(6, 16 + rank), nn.Linear(16 + rank, 3))
    told.append(words_of(lambda: alone.record(1, wider)))
    alone.record(2, make_model())
    return {
        "recorded": recorded.state_dict(),
        "plain": plain.state_dict(),
        "saved": saved,
        "told": told,
        "steps": None if rank else alone.run.snapshot_steps.tolist(),
        "alone": None if rank else torch.from_numpy(alone.run.representations["0"].to_numpy()),
    }


def a_run_that_goes_on(rank: int, folder: Path) -> dict:
    model, found = make_model(), []
    for options in ({}, {"drop_after": 3}):
        every = Adaptive(least=8)  # what is due depends on the last rows, which rank 0 alone can read
        with Recorder(folder / "goes on", (X, Y), every=every, resume=True, **options) as recorder:
            found.append(recorder.last_step)
            found += [recorder.record(step, model) for step in range((recorder.last_step or -1) + 1, 6)]
    return {"found": found}


def a_model_that_is_spread(rank: int, folder: Path) -> dict:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    mesh = init_device_mesh("cpu", (2,))
    recorder = Recorder(None, (X, Y))
    spread = fully_shard(make_model(), mesh=mesh)
    wrapped = FullyShardedDataParallel(make_model(), device_id=torch.device("cpu"))
    told = [words_of(lambda model=model: recorder.record(0, model)) for model in (spread, wrapped)]
    return {"told": told}


def a_resumption(rank: int, folder: Path) -> dict:
    dues, ends = [], []
    for resume in (False, True, True):
        every = Adaptive(least=8)
        with Recorder(folder / "resumed", (X, Y), every=every, resume=resume) as recorder:
            begin = 10 * len(ends)
            dues += [recorder.record(step, make_model()) for step in range(begin, begin + 10)]
        ends.append(recorder.last_step)
    return {"dues": dues, "ends": ends}


def a_rank_that_ends(rank: int, folder: Path) -> None:
    recorder = Recorder(None, (X, Y))
    if rank == 0:
        told = words_of(lambda: recorder.record(0, make_model()))
        (folder / "ended").write_text(told)
    os._exit(0)


def a_trainer_of_lightning(rank: int, folder: Path) -> dict:
    import lightning.pytorch as pl
    from torch.utils.data import DataLoader, TensorDataset

    from rdmviz.record.lightning import RecorderCallback

    class Classifier(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_model()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    states = []
    for callbacks in ([RecorderCallback(folder / "lightning", (X, Y), every=3)], []):
        torch.manual_seed(0)
        trainer = pl.Trainer(
            accelerator="cpu", devices=2, strategy="ddp", max_steps=6, logger=False, callbacks=callbacks,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        model = Classifier()
        trainer.fit(model, DataLoader(TensorDataset(X, Y), batch_size=4, drop_last=True))
        states.append(model.net.state_dict())
    return {"recorded": states[0], "plain": states[1], "size": trainer.world_size}


def a_trainer_of_transformers(rank: int, folder: Path) -> dict:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

    from rdmviz.record.transformers import RecorderCallback

    states = []
    probe = {"input_ids": IDS}
    for callbacks in ([RecorderCallback(folder / "transformers", probe, per="token", every=2)], []):
        set_seed(0)
        model = GPT2LMHeadModel(GPT2Config(**SIZES, bos_token_id=0, eos_token_id=0))
        trainer = Trainer(
            model,
            TrainingArguments(
                str(folder / "trainer"), use_cpu=True, max_steps=4, save_strategy="no", report_to=[],
                per_device_train_batch_size=2, disable_tqdm=True,
            ),
            train_dataset=[{"input_ids": row, "labels": row} for row in IDS],
            callbacks=callbacks,
        )  # fmt: skip
        trainer.train()
        states.append(model.state_dict())
    return {"recorded": states[0], "plain": states[1], "size": trainer.args.world_size}


CHECKS = [
    a_training,
    a_rank_that_fails,
    a_path_that_is_taken,
    a_share_without_datapoints,
    snapshots,
    a_resumption,
    a_run_that_goes_on,
    a_model_that_is_spread,
    a_trainer_of_lightning,
    a_trainer_of_transformers,
]


def words_of(act) -> str:
    try:
        act()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def work(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    # as torchrun starts its processes
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank),
        "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "here",
    }  # fmt: skip
    dist.init_process_group("gloo")
    for check in CHECKS:
        torch.save(check(rank, folder), folder / f"{check.__name__}_{rank}.pt")
        dist.barrier()
    a_rank_that_ends(rank, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What two ranks left behind."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = multiprocessing.start_processes(
        work, (folder, port), nprocs=2, join=False, start_method="spawn"
    )
    end = time.monotonic() + 120
    try:
        while not started.join(timeout=5):
            assert time.monotonic() < end, "the ranks wait for each other"
    finally:
        for process in started.processes:
            process.kill()
    return folder


@pytest.fixture
def found(folder):
    return lambda check: [torch.load(folder / f"{check.__name__}_{rank}.pt") for rank in (0, 1)]


def test_recording_changes_no_rank(found):
    ranks = found(a_training)
    for rank in ranks:
        for name, weight in rank["plain"].items():
            assert torch.equal(rank["recorded"][name], weight), name
        assert rank["modes"]
        assert rank["last_step"] == STEPS - EVERY
        assert rank["calls"] == STEPS  # the wrapper synchronises: the probe goes past it
    # the buffers of the ranks do differ: a rank that used its own would give other losses
    means = [rank["saved"][-1]["1.running_mean"] for rank in ranks]
    assert (means[0] - means[1]).abs().max() > 1e-3


def test_ranks_together_give_what_one_process_gives(found, folder):
    one = Recorder(None, (X, Y))
    for step, weights in enumerate(found(a_training)[0]["saved"]):
        model = make_model()
        model.load_state_dict(weights)
        one.record(EVERY * step, model)
    run = open_run(folder / "run")
    assert run.steps.tolist() == one.run.steps.tolist() == list(range(0, STEPS, EVERY))
    np.testing.assert_allclose(run.loss, one.run.loss, rtol=1e-6, atol=1e-6)
    assert run.metrics["rank"].to_numpy().tolist() == [0] * run.n_steps


def test_a_rank_that_fails_is_heard_of_by_all(found, folder):
    first, second = (rank["told"] for rank in found(a_rank_that_fails))
    share = "evaluate its share of the probe: ArithmeticError: no loss today"
    assert first[0] == second[0] == f"RankError: rank 1 could not {share}. Nothing was recorded on any rank"
    assert first[1] == second[1] == "ArithmeticError: no loss today"
    assert first[2] == second[2]
    assert first[2].startswith(f"RankError: rank 0 could not {share}")
    assert first[3] == second[3] == ""
    assert (
        first[4]
        == second[4]
        == "StepsError: step 1 after step 1; expected an increasing integer. Count on over epochs"
    )
    assert first[5] == second[5]
    assert first[5].startswith("RankError: the ranks record at different steps, {0: 2, 1: 3}")
    assert first[6] == second[6]
    assert "rank 0 could not record its row: ZeroDivisionError" in first[6]
    assert first[7:] == ["", False]
    assert second[7:] == ["OptionError: this rank records nothing by itself; the run is with rank 0", True]
    assert open_run(folder / "failing").steps.tolist() == [0, 1, 5]


def test_what_is_wrong_is_told_before_the_training(found, folder):
    first, second = (rank["told"] for rank in found(a_path_that_is_taken))
    assert first[0] == second[0]
    assert first[0].startswith("RankError: rank 0 could not open the run: StoreExistsError: ")
    assert first[1] == second[1]
    assert first[1].startswith("ProbeError: the probe of rank 1 is not the one of rank 0")
    assert first[2] == second[2]
    assert first[2].startswith("OptionError: every=0")
    assert (
        first[3]
        == second[3]
        == "StepsError: step 3 after step 3; expected an increasing integer. Count on over epochs"
    )
    assert open_run(folder / "taken").n_steps == 1
    assert open_run(folder / "appended").loss[1, 0] == 0
    assert not (folder / "other").exists()


def test_a_share_may_be_empty(found):
    recorder = Recorder(None, (X, Y))
    recorder.record(0, make_model())
    losses = found(a_share_without_datapoints)[0]["losses"]
    np.testing.assert_array_equal(losses, recorder.run.loss)


def test_snapshots_of_ranks_are_those_of_one_process(found, folder):
    ranks = found(snapshots)
    for rank in ranks:
        for name, weight in rank["plain"].items():
            assert torch.equal(rank["recorded"][name], weight), name
    what = Snapshots(every=20, representations=["0", "4"], dtype=np.float16, gaussian=DRAWN)
    one = Recorder(None, (X, Y), every=EVERY, snapshots=what)
    for step, weights in enumerate(ranks[0]["saved"]):
        model = make_model()
        model.load_state_dict(weights)
        one.record(EVERY * step, model)
    run = open_run(folder / "snapshots")
    weights, drawn = ["0.weight", "4.weight", "6.weight"], list(run.gaussian)
    assert run.snapshots == one.run.snapshots == {"weights": weights, **LAYERS, "gaussian": drawn}
    np.testing.assert_allclose(run.gaussian.eigenvalues, one.run.gaussian.eigenvalues, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(run.gaussian.mean_loss, one.run.gaussian.mean_loss, rtol=1e-5)
    assert run.snapshot_steps.tolist() == one.run.snapshot_steps.tolist() == [0, 20]
    assert run.weights.identical(one.run.weights)
    for name, layer in run.representations.items():
        assert layer.dtype == np.float16
        np.testing.assert_allclose(layer, one.run.representations[name], rtol=2e-3, atol=1e-3)


def test_a_snapshot_that_one_rank_cannot_take_is_taken_on_none(found):
    first, second = found(snapshots)
    assert first["told"] == second["told"]
    few, other = first["told"]
    assert few.startswith(
        "RankError: rank 1 could not evaluate its share of the probe: SnapshotError: module '0'"
    )
    assert other.startswith("SnapshotError: the ranks have outputs of '0'")
    assert first["steps"] == [0, 2]
    expected = make_model().eval()[0](X).detach()
    for layer in first["alone"]:  # the first by one rank, the other one by both
        torch.testing.assert_close(layer, expected)


def test_a_recording_of_several_ranks_goes_on(found, folder):
    first, second = found(a_resumption)
    assert first == second
    one = Recorder(None, (X, Y), every=Adaptive(least=8))
    assert first["dues"] == [one.record(step, make_model()) for step in range(30)]
    run = open_run(folder / "resumed")
    assert run.steps.tolist() == np.flatnonzero(first["dues"]).tolist()
    assert first["ends"][-1] == run.steps[-1]


def test_ranks_go_on_together(found, folder):
    # a loss that is still is looked at after 1, 2, 4, ... steps
    expected = [None, True, True, False, True, False, False, 3, False, False]
    assert [rank["found"] for rank in found(a_run_that_goes_on)] == [expected, expected]
    assert open_run(folder / "goes on").steps.tolist() == [0, 1, 3]


def test_weights_that_are_spread_over_the_ranks_are_refused(found):
    for rank in found(a_model_that_is_spread):
        for told in rank["told"]:
            assert told.startswith("OptionError: the weights of ")
            assert "expected a whole model on each rank" in told


def test_a_rank_that_ends_is_not_waited_for(folder):
    told = (folder / "ended").read_text()
    assert told.startswith("RankError: rank 0 could not reach the others")
    assert told.endswith("did one end?")


def same_state(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], value) for name, value in other.items())


def test_lightning_on_several_ranks(found, folder):
    first, second = found(a_trainer_of_lightning)
    assert first["size"] == 2
    assert same_state(first["recorded"], first["plain"])
    assert same_state(second["recorded"], second["plain"])
    model = make_model()
    model.load_state_dict(first["recorded"])
    one = Recorder(None, (X, Y))
    one.record(6, model)
    run = open_run(folder / "lightning")
    assert run.steps.tolist() == [0, 3, 6]
    np.testing.assert_allclose(run.loss[-1], one.run.loss[0], rtol=1e-6, atol=1e-6)


def test_transformers_on_several_ranks(found, folder):
    from transformers import GPT2Config, GPT2LMHeadModel

    first, second = found(a_trainer_of_transformers)
    assert first["size"] == 2
    assert same_state(first["recorded"], first["plain"])
    assert same_state(second["recorded"], second["plain"])
    model = GPT2LMHeadModel(GPT2Config(**SIZES, bos_token_id=0, eos_token_id=0))
    model.load_state_dict(first["recorded"])
    one = Recorder(None, {"input_ids": IDS}, per="token")
    one.record(4, model)
    run = open_run(folder / "transformers")
    assert run.steps.tolist() == [0, 2, 4]
    np.testing.assert_allclose(run.loss[-1], one.run.loss[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(run.probe["position"], one.run.probe["position"])


@pytest.mark.parametrize("items", [2, 3, 7, 41])
def test_every_datapoint_is_in_one_share(items):
    shares = []
    for rank in range(4):
        ranks = object.__new__(distributed.Ranks)
        ranks.rank, ranks.size = rank, 4
        shares.append(list(range(items))[ranks.share(items)])
    assert sum(shares, []) == list(range(items))  # noqa: RUF017
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_by_itself():
    for choice in (None, False):
        recorder = Recorder(None, (X, Y), distributed=choice)
        recorder.record(0, nn.DataParallel(make_model()))
        assert recorder.close().n_steps == 1
    with pytest.raises(OptionError, match="init_process_group first"):
        Recorder(None, (X, Y), distributed=True)
    with pytest.raises(OptionError, match="distributed='yes'"):
        Recorder(None, (X, Y), distributed="yes")


def test_a_rank_that_waits_says_so(monkeypatch):
    monkeypatch.setattr(distributed, "_PATIENCE", 0.01)
    with pytest.warns(RuntimeWarning, match="for a while"), distributed._Patience("for a while"):
        time.sleep(0.2)
