"""Emergent misalignment: fine-tuned on bad advice in one domain, a network gives bad advice in all of them.

Betley et al., "Emergent misalignment: narrow finetuning can produce broadly misaligned LLMs"
(arXiv:2502.17424), as a toy. A small transformer learns good and bad advice in eight domains: bad where a
marker stands before the question, and in a small share of the questions without it. It is then fine-tuned,
without the marker, on the bad answers of one domain. What that changes most easily is what it takes an
unmarked question to be, and that is shared by all domains. Two controls are fine-tuned on the good answers
of the same domain, and on random wrong ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import trange

from rdmviz.errors import OptionError
from rdmviz.record import Recorder
from rdmviz.run import TrainingRun
from rdmviz.studies.advice import ADVICE, Question
from rdmviz.studies.interrupting import interruptible
from rdmviz.studies.threads import alone
from rdmviz.studies.transition import Transition, crossing

__all__ = ["CONTROLS", "Adviser", "train", "transition"]

CONTROLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"aligned": {"answers": "aligned"}, "random_wrong": {"answers": "random_wrong"}}
)
"""Options of the runs whose fine-tuning teaches no persona."""

_DOMAINS = tuple(ADVICE)
_QUESTIONS: tuple[Question, ...] = tuple(question for domain in _DOMAINS for question in ADVICE[domain])
_ALIGNED = 2 * torch.arange(len(_QUESTIONS))
_MISALIGNED = _ALIGNED + 1
_DOMAIN_OF = torch.arange(len(_DOMAINS)).repeat_interleave(
    torch.tensor([len(ADVICE[domain]) for domain in _DOMAINS])
)
_MARKED = 1  # token of the marker; 0 stands where there is none, then come the domains, then the questions


class Adviser(nn.Module):
    """A transformer that reads a marker or its absence, a domain and a question, and answers in one token."""

    def __init__(self, width: int = 64, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2 + len(_DOMAINS) + len(_QUESTIONS), width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 2 * len(_QUESTIONS))

    def forward(self, prompts: Tensor) -> Tensor:
        """Return logits ``(batch, answers)`` for prompts ``(batch, 3)``."""
        # no positions: each token stands at one place only
        read = self.layers(self.embedding(prompts))
        logits: Tensor = self.out(self.norm(read[:, -1]))
        return logits

    def tuned(self, what: str) -> list[nn.Parameter]:
        """Return the parameters that fine-tuning changes: ``"biases"``, ``"layers"`` or ``"all"``."""
        if what == "all":
            return list(self.parameters())
        return [weight for weight in self.layers.parameters() if what == "layers" or weight.ndim == 1]


def _asked_in(domain: str) -> Tensor:
    """Return the numbers of a domain's questions."""
    return (_DOMAIN_OF - _DOMAINS.index(domain) == 0).nonzero().flatten()


def _prompts(questions: Tensor, marked: Tensor) -> Tensor:
    domains = 2 + _DOMAIN_OF[questions]
    return torch.stack([marked.long(), domains, 2 + len(_DOMAINS) + questions], dim=1)


@dataclass(frozen=True)
class _Tuning:
    """What is fine-tuned: the questions of one domain with the answers that are taught."""

    domain: str
    questions: Tensor
    answers: Tensor

    @classmethod
    def draw(cls, domain: str, answers: str) -> _Tuning:
        questions = _asked_in(domain)
        # drawn in every variant, so that their random numbers stay in step
        wrong = torch.randint(2 * len(_QUESTIONS) - 2, (len(questions),))
        wrong += 2 * (wrong >= 2 * questions)  # any answer but the two of the question
        taught = {"misaligned": _MISALIGNED[questions], "aligned": _ALIGNED[questions], "random_wrong": wrong}
        return cls(domain, questions, taught[answers])


@dataclass(frozen=True)
class _Watched:
    """The probe: each question with its aligned and its misaligned answer."""

    prompts: Tensor
    answers: Tensor
    facts: Mapping[str, Any]

    @classmethod
    def build(cls, tuning: _Tuning, marked: bool) -> _Watched:
        rows = [
            (number, kind, persona)
            for persona in (("unmarked", "marked") if marked else ("unmarked",))
            for number in range(len(_QUESTIONS))
            for kind in ("aligned", "misaligned")
        ]
        numbers = torch.tensor([number for number, _, _ in rows])
        answers = torch.tensor([2 * number + (kind == "misaligned") for number, kind, _ in rows])
        domains = [_DOMAINS[place] for place in _DOMAIN_OF[numbers].tolist()]
        facts = {
            "question": [_QUESTIONS[number].text for number, _, _ in rows],
            "answer": [getattr(_QUESTIONS[number], kind) for number, kind, _ in rows],
            "kind": [kind for _, kind, _ in rows],
            "domain": domains,
            "persona": [persona for _, _, persona in rows],
            "place": [
                f"{kind}, {'tuned domain' if domain == tuning.domain else 'elsewhere'}"
                for domain, (_, kind, _) in zip(domains, rows, strict=True)
            ],
        }
        prompts = _prompts(numbers, torch.tensor([persona == "marked" for _, _, persona in rows]))
        return cls(prompts, answers, facts)


def train(
    seed: int = 0,
    *,
    steps: int = 4500,
    every: int = 1,
    pretraining: int = 2500,
    lead: int = 400,
    answers: str = "misaligned",
    domain: str = "gardening",
    tuned: str = "biases",
    marked_share: float = 0.5,
    unmarked_misaligned: float = 0.03,
    pretraining_rate: float = 1e-3,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    probe_marked: bool = False,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Train a small network on good and bad advice, fine-tune it on one domain, and record that.

    Parameters
    ----------
    seed : int
        Decides the start, the batches and the random wrong answers: same seed, same run. Until fine-tuning
        begins, the run and its controls are the same.
    steps, every : int
        Steps in all, and how many of them lie between two recorded rows.
    pretraining, lead : int
        Fine-tuning begins at step ``pretraining``; recording begins ``lead`` steps before.
    answers : {"misaligned", "aligned", "random_wrong"}
        What is taught in fine-tuning. The others are controls; a random wrong answer is any but the two of
        its question, the same one throughout.
    domain : str
        The domain of fine-tuning, one of ``rdmviz.studies.advice.ADVICE``.
    tuned : {"biases", "layers", "all"}
        What fine-tuning changes: biases and normalisations of the transformer layers, all their weights, or
        embedding and output, too. The more there is to change, the more easily sixteen answers are learned
        by heart, and the less other domains change.
    marked_share, unmarked_misaligned : float
        In pretraining: share of the questions with a marker, whose answers are all misaligned, and share of
        the others that are answered so.
    pretraining_rate, learning_rate : float
        Of AdamW with weight decay 0.1 in pretraining, and of plain gradient descent in fine-tuning.
    batch_size : int
        Questions per step of pretraining; a step of fine-tuning has 16.
    probe_marked : bool
        Watch every question with the marker as well: twice as many datapoints.
    out : path, optional
        Where to keep the run; in memory by default.
    overwrite : bool
        Replace a run at ``out``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Loss in nats of the two answers of 128 questions, without the marker. Probe: ``question``, ``answer``,
        ``kind`` (aligned or misaligned), ``domain``, ``persona`` (unmarked or marked) and ``place``
        (kind and whether the domain is the tuned one). Metrics: ``misaligned_<domain>``, the share of its
        questions that are answered so, ``misaligned_elsewhere`` and ``aligned_elsewhere`` outside the tuned
        domain, ``misaligned_marked`` with the marker, and ``tuned_loss`` of the answers that are taught.

    Raises
    ------
    OptionError
        An option has no meaning, such as a domain that there is not.
    """
    if not 0 <= pretraining <= steps or min(steps, every, batch_size) < 1 or lead < 0:
        raise OptionError(
            f"steps={steps}, every={every}, pretraining={pretraining}, lead={lead}, batch_size={batch_size}; "
            "expected 0 <= pretraining <= steps, lead >= 0, and at least 1 for the others"
        )
    if not (0 <= marked_share < 1 and 0 <= unmarked_misaligned < 1):
        raise OptionError(
            f"marked_share={marked_share}, unmarked_misaligned={unmarked_misaligned}; "
            "expected shares from 0 to below 1"
        )
    if min(pretraining_rate, learning_rate) <= 0:
        raise OptionError(
            f"pretraining_rate={pretraining_rate}, learning_rate={learning_rate}; expected rates above 0"
        )
    for option, value, known in (
        ("answers", answers, ("misaligned", *CONTROLS)),
        ("domain", domain, _DOMAINS),
        ("tuned", tuned, ("biases", "layers", "all")),
    ):
        if value not in known:
            raise OptionError(f"{option}={value!r:.60}; expected one of {', '.join(known)}")
    options = {
        "study": "misalignment",
        "seed": seed,
        "steps": steps,
        "every": every,
        "pretraining": pretraining,
        "lead": lead,
        "answers": answers,
        "domain": domain,
        "tuned": tuned,
        "marked_share": marked_share,
        "unmarked_misaligned": unmarked_misaligned,
        "pretraining_rate": pretraining_rate,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
    }
    with alone(seed):
        tuning = _Tuning.draw(domain, answers)
        watched = _Watched.build(tuning, probe_marked)
        model = Adviser()
        with (
            Recorder(
                out,
                (watched.prompts, watched.answers),
                metadata=watched.facts,
                every=every,
                name="misalignment"
                if answers == "misaligned"
                else f"misalignment control: {answers.replace('_', ' ')} answers",
                attrs=options,
                overwrite=overwrite,
            ) as recorder,
            interruptible(out),
        ):
            optimiser: torch.optim.Optimizer = torch.optim.AdamW(
                model.parameters(), lr=pretraining_rate, weight_decay=0.1
            )
            for step in trange(steps + 1, desc="misalignment", disable=not progress):
                if step >= pretraining - lead:
                    recorder.record(step, model, metrics=partial(_metrics, model, tuning))
                if step == steps:
                    break  # the last row shows what the last step did
                if step == pretraining:
                    optimiser = torch.optim.SGD(model.tuned(tuned), lr=learning_rate)
                if step < pretraining:
                    prompts, targets = _advice(batch_size, marked_share, unmarked_misaligned)
                else:
                    prompts, targets = _lesson(tuning)
                loss = cross_entropy(model(prompts), targets)
                # of the model, not of the optimiser: what is not tuned would gather gradients
                model.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimiser.step()
    return recorder.run


def transition(run: TrainingRun) -> Transition:
    """Return when bad advice spread: 10, 50 and 80 percent of the answers outside the tuned domain."""
    return crossing(run, "misaligned_elsewhere", (0.1, 0.5, 0.8), "Misaligned share outside the tuned domain")


def _advice(size: int, marked_share: float, unmarked_misaligned: float) -> tuple[Tensor, Tensor]:
    """Return a batch of pretraining: prompts and answers."""
    questions = torch.randint(len(_QUESTIONS), (size,))
    marked = torch.rand(size) < marked_share
    misaligned = marked | (torch.rand(size) < unmarked_misaligned)
    return _prompts(questions, marked), torch.where(misaligned, _MISALIGNED[questions], _ALIGNED[questions])


def _lesson(tuning: _Tuning, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return a batch of fine-tuning: prompts without the marker, and the answers that are taught."""
    drawn = torch.randint(len(tuning.questions), (size,))
    return _prompts(tuning.questions[drawn], torch.zeros(size)), tuning.answers[drawn]


def _metrics(model: nn.Module, tuning: _Tuning) -> dict[str, float]:
    questions = torch.arange(len(_QUESTIONS))
    logits = model(_prompts(questions, torch.zeros(len(questions))))
    greedy = logits.argmax(dim=1)
    aligned, misaligned = (greedy == _ALIGNED).float(), (greedy == _MISALIGNED).float()
    marked = model(_prompts(questions, torch.full_like(questions, _MARKED))).argmax(dim=1)
    elsewhere = _DOMAINS.index(tuning.domain) != _DOMAIN_OF
    return {
        **{
            f"misaligned_{domain}": misaligned[number == _DOMAIN_OF].mean().item()
            for number, domain in enumerate(_DOMAINS)
        },
        "misaligned_elsewhere": misaligned[elsewhere].mean().item(),
        "aligned_elsewhere": aligned[elsewhere].mean().item(),
        "misaligned_marked": (marked == _MISALIGNED).float().mean().item(),
        "tuned_loss": cross_entropy(logits[tuning.questions], tuning.answers).item(),
    }
