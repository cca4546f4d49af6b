"""Whether the 2RDM of held-out sums knows the arithmetic: classes of residues, and their frequencies.

The network embeds numbers on circles, a few frequencies of them. Fluctuations of the held-out losses, each
divided by its size, are averaged over the pairs of a residue class (of the answer, of the difference of the
operands), and the power of these means is laid out by frequency. The ROC curve tells whether the frequencies
that the embeddings use at the end have less of it, or more, than the others: .5 by chance.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import spearmanr

from rdmviz import TrainingRun, eigenmodes, gaussian_draws
from rdmviz.compute.rdm.observables import participation_ratio_unbiased
from rdmviz.compute.rdm.residues import class_share, frequency_power
from rdmviz.compute.rdm.separation import roc_auc
from rdmviz.studies.grokking import KEY_FREQUENCIES, ModularAddition, embedding_power

__all__ = ["Residues", "correlated", "residues"]

DRAWS = 256


class Residues:
    """The held-out pairs of a run, their classes, and the frequencies that its embeddings use at the end."""

    def __init__(self, run: TrainingRun) -> None:
        self.run, self.modulus = run, int(run.attrs["modulus"])
        self.held_out = run.probe["split"].to_numpy() == "held-out"
        a, b, answer = (run.probe[name].to_numpy()[self.held_out] for name in ("a", "b", "target"))
        self.pairs, self.answer = np.stack([a, b], axis=1), answer
        self.sum, self.difference = (a + b) % self.modulus, (a - b) % self.modulus
        layers = ("first.weight", "second.weight")
        power = np.mean([embedding_power(run.weights[name][-1].to_numpy()) for name in layers], axis=0)
        self.used = power >= np.sort(power)[-KEY_FREQUENCIES]

    def fluctuations(self, step: int, window: int) -> np.ndarray:
        """Return rows that stand for the correlations of the held-out losses in a window."""
        modes = eigenmodes(self.run, step, window, detrend="linear", modes=window)
        rows = np.sqrt(modes["eigenvalue"].to_numpy())[:, None] * modes["eigenvector"].to_numpy()
        return correlated(rows[:, self.held_out])

    def power(self, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return the share of each frequency."""
        return frequency_power(rows, classes, self.modulus)

    def less(self, power: np.ndarray) -> float:
        """Return the probability that a frequency that is used has less power than one that is not."""
        return roc_auc(-power, self.used)

    def windows(self, first: int, last: int, window: int) -> list[np.ndarray]:
        """Return the fluctuations of all windows, one after the other, between two steps."""
        ends = np.arange(np.searchsorted(self.run.steps, first) + window - 1, len(self.run.steps), window)
        steps = self.run.steps[ends]
        return [self.fluctuations(int(step), window) for step in steps[steps <= last]]

    def model(self, step: int) -> ModularAddition:
        """Return the network at the last snapshot up to a step."""
        place = int(np.searchsorted(self.run.snapshot_steps, step, side="right")) - 1
        weights = {name: torch.tensor(self.run.weights[name][place].values) for name in self.run.weights}
        network = ModularAddition(self.modulus)
        network.load_state_dict(weights)
        return network

    def draws(self, network: ModularAddition) -> np.ndarray:
        """Return centred losses of the held-out pairs over random displacements of a network."""
        probe = torch.tensor(self.pairs), torch.tensor(self.answer)
        losses = gaussian_draws(network, probe, draws=DRAWS).rows(0, DRAWS).astype(np.float64)
        return np.asarray(losses - losses.mean(axis=0))

    def confusion(self, network: ModularAddition) -> np.ndarray:
        """Return the mean probability of each answer, counted from the right one, shape (modulus,)."""
        with torch.no_grad():
            given = torch.softmax(network(torch.tensor(self.pairs)), dim=1).numpy()
        shifted = (self.answer[:, None] + np.arange(self.modulus)) % self.modulus
        return np.asarray(np.take_along_axis(given, shifted, axis=1).mean(axis=0))


def correlated(rows: np.ndarray) -> np.ndarray:
    """Return rows with columns of unit norm; one that does not move stays zero."""
    sizes = np.linalg.norm(rows, axis=0)
    return rows / np.where(sizes > 0, sizes, 1)


def _participation(rows: np.ndarray) -> float:
    """Participation ratio of centred draws, unbiased."""
    shares = np.linalg.eigvalsh(rows @ rows.T) / (rows**2).sum()
    return float(participation_ratio_unbiased(np.array(1.0), (shares**2).sum(), len(rows) - 1))


def residues(run: TrainingRun, times: dict[str, int], window: int) -> dict[str, float]:
    """Return the figures of a run.

    Parameters
    ----------
    run : TrainingRun
        With snapshots of all weights.
    times : dict
        Steps of ``memorised``, ``onset``, ``middle`` and ``end``.
    window : int
        Rows per window.
    """
    held = Residues(run)
    during = held.windows(times["onset"], times["end"], window)
    before = held.windows(times["memorised"], times["onset"], window)
    here = held.fluctuations(run.step_around(times["middle"], window), window)
    network = held.model(times["middle"])
    drawn = held.draws(network)
    alike, loss = correlated(drawn), run.rows(*[run.index_of(times["middle"]) + end for end in (0, 1)])
    # an answer that is already told from others at a frequency is hardly moved along it
    expected = (1 - np.fft.rfft(held.confusion(network)).real[1:]) ** 2
    answer = held.power(alike, held.answer)

    def mean(parts: list[np.ndarray], classes: np.ndarray) -> np.ndarray:
        none = np.full(held.modulus // 2, math.nan)
        return np.mean([held.power(rows, classes) for rows in parts], axis=0) if parts else none

    return {
        "answer_share": class_share(here, held.answer),
        "sum_share": class_share(here, held.sum),
        "difference_share": class_share(here, held.difference),
        "answer_auc": held.less(mean(during, held.answer)),
        "difference_auc": 1 - held.less(mean(during, held.difference)),
        "answer_auc_before": held.less(mean(before, held.answer)),
        "difference_auc_before": 1 - held.less(mean(before, held.difference)),
        "row_auc": held.less(held.power(loss[:, held.held_out].astype(np.float64), held.answer)),
        "gaussian_answer_auc": held.less(answer),
        "gaussian_difference_auc": 1 - held.less(held.power(alike, held.difference)),
        "gaussian_alike": _participation(alike),
        "predicted": float(spearmanr(answer, expected)[0]),
    }
