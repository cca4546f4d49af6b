"""Checkpoints as tasks of a Dask cluster: the numbers of one process, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from torch import nn

from rdmviz import open_run, record_checkpoints
from rdmviz.errors import CheckpointError, OptionError
from rdmviz.record import checkpoint_tasks

X = torch.randn(60, 12, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
STEPS = list(range(0, 1000, 10))


def make_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Dropout(0.3), nn.Linear(32, 3))


class Noting:
    """Opens a checkpoint, and leaves a file that says which, and in which process."""

    def __init__(self, notes: Path, seconds: float = 0.0) -> None:
        self.notes, self.seconds = notes, seconds

    def __call__(self, path):
        (self.notes / f"{path.stem}.{os.getpid()}.{uuid.uuid4().hex}").touch()
        time.sleep(self.seconds)
        model = make_model()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def evaluated(self) -> Counter:
        return Counter(note.name.partition(".")[0] for note in self.notes.iterdir())

    def processes(self) -> set[int]:
        return {int(note.name.split(".")[1]) for note in self.notes.iterdir()}


@pytest.fixture(scope="module")
def client():
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    )
    with cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def one_thread():
    """As the workers have it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, one_thread):
    """A hundred checkpoints, and the run that one process records of them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    model = make_model()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in STEPS:
        torch.save(model.state_dict(), folder / f"step{step}.pt")
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(X), Y).backward()
        optimiser.step()
    return folder, record(folder, make_model, None)


@pytest.fixture
def noting(tmp_path):
    (tmp_path / "notes").mkdir()
    return Noting(tmp_path / "notes")


def record(folder, load, path, client=None, **options):
    options = {"dtype": np.float64, "progress": False} | options
    return record_checkpoints(folder, load, (X, Y), path, client, **options)


def test_a_hundred_checkpoints_equal_those_of_one_process_bit_for_bit(client, trained, tmp_path):
    folder, expected = trained
    assert set(client.run(torch.get_num_threads).values()) == {torch.get_num_threads()} == {1}
    run = record(folder, make_model, tmp_path / "run", client)
    np.testing.assert_array_equal(run.loss, expected.loss)
    assert run.steps.tolist() == STEPS
    np.testing.assert_array_equal(open_run(tmp_path / "run").loss, expected.loss)


def test_both_workers_evaluate_each_checkpoint_once(client, trained, noting, tmp_path):
    run = record(trained[0], noting, tmp_path / "run", client)
    np.testing.assert_array_equal(run.loss, trained[1].loss)
    assert noting.evaluated() == {f"step{step}": 1 for step in STEPS}
    assert noting.processes() == set(client.run(os.getpid).values())


def test_a_worker_killed_in_the_middle_costs_only_what_it_was_at(client, trained, noting, tmp_path):
    victim = next(iter(client.run(os.getpid).values()))
    noting.seconds = 0.02

    def kill_in_the_middle():
        while len(list(noting.notes.iterdir())) < 40:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    run = record(trained[0], noting, tmp_path / "run", client)
    killer.join()
    np.testing.assert_array_equal(run.loss, trained[1].loss)
    evaluated = noting.evaluated()
    assert set(evaluated) == {f"step{step}" for step in STEPS}
    again = {step: count for step, count in evaluated.items() if count > 1}
    assert sum(evaluated.values()) - len(STEPS) <= 2 * checkpoint_tasks._IN_FLIGHT, again
    # A file that is left says that the dead worker was at it.
    lost = [note for note in noting.notes.iterdir() if int(note.name.split(".")[1]) == victim]
    assert len(lost) > 1
    assert {note.name.partition(".")[0] for note in lost} >= set(again)
    deadline = time.monotonic() + 20
    while len(client.nthreads()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(client.nthreads()) == 2


def test_no_more_than_two_in_flight_per_worker(client, trained, noting, tmp_path, monkeypatch):
    unfinished = []
    submit = client.submit

    def counting(function, *args, **options):
        future = submit(function, *args, **options)
        if function is checkpoint_tasks._losses:
            futures.append(future)
            unfinished.append(sum(not future.done() for future in futures))
        return future

    futures = []
    monkeypatch.setattr(client, "submit", counting)
    noting.seconds = 0.01
    record({step: trained[0] / f"step{step}.pt" for step in STEPS[:30]}, noting, None, client)
    assert len(unfinished) == 30
    assert max(unfinished) == 4


def test_a_broken_checkpoint_costs_nothing_before_it(client, trained, noting, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for step in STEPS[:20]:
        (folder / f"step{step}.pt").symlink_to(trained[0] / f"step{step}.pt")
    (folder / "step110.pt").unlink()
    torch.save(nn.Linear(3, 2).state_dict(), folder / "step110.pt")
    with pytest.raises(CheckpointError, match=r"step110.pt does not fit Sequential: it lacks") as caught:
        record(folder, make_model, tmp_path / "run", client)
    assert "checkpoint of step 110" in caught.value.__notes__[0]
    kept = open_run(tmp_path / "run")
    assert kept.steps.tolist() == STEPS[:11]
    (folder / "step110.pt").unlink()
    run = record(folder, noting, tmp_path / "run", client, resume=True)
    assert set(noting.evaluated()) == {f"step{step}" for step in STEPS[12:20]}
    left = np.delete(np.arange(20), 11)
    np.testing.assert_array_equal(run.loss, trained[1].loss[left])


def die(path):
    if "step20" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return Noting(path.parent)(path)


def test_a_checkpoint_that_kills_its_workers_is_named(trained, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for step in STEPS[:4]:
        (folder / f"step{step}.pt").symlink_to(trained[0] / f"step{step}.pt")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    with cluster, Client(cluster) as client:
        with pytest.raises(
            CheckpointError, match=r"workers died time and again over it.*batch_size"
        ) as caught:
            record(folder, die, tmp_path / "run", client)
        assert "checkpoint of step 20" in caught.value.__notes__[0]
    assert open_run(tmp_path / "run").steps.tolist() == [0, 10]


def test_a_cluster_that_is_closed_in_the_middle_leaves_what_is_recorded(trained, tmp_path, noting):
    noting.seconds = 0.02
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    )
    client = Client(cluster)

    def close_in_the_middle():
        while len(list(noting.notes.iterdir())) < 20:
            time.sleep(0.005)
        client.close()

    closer = threading.Thread(target=close_in_the_middle)
    closer.start()
    with cluster, pytest.raises(CheckpointError, match="cluster was closed, or is out of reach"):
        record(trained[0], noting, tmp_path / "run", client)
    closer.join()
    kept = open_run(tmp_path / "run")
    assert 10 < kept.n_steps < 30
    np.testing.assert_array_equal(kept.loss, trained[1].loss[: kept.n_steps])


def test_an_asynchronous_client_is_refused(trained):
    class Waiting:
        submit = nthreads = cancel = None
        asynchronous = True

    with pytest.raises(OptionError, match="client is asynchronous"):
        record(trained[0], make_model, None, Waiting())
