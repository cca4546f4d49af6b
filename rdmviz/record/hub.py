"""Checkpoints that a model on the Hugging Face Hub publishes as branches or tags, one per training step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rdmviz.errors import CheckpointNotFoundError, MissingExtraError, OptionError, StepsError

__all__ = ["HubRevision", "hub_revisions"]

_MOST_NAMES = 6
_SAFE = ["*.safetensors", "*.safetensors.index.json"]
_PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


@dataclass(frozen=True)
class HubRevision:
    """A branch or tag of a model on the Hub.

    Attributes
    ----------
    repo_id, revision : str
        As ``from_pretrained(repo_id, revision=revision)`` takes them.
    commit : str
        What it points to, which does not change; may stand for ``revision`` everywhere.
    """

    repo_id: str
    revision: str
    commit: str
    api: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.revision}"

    def download(self) -> Path:
        """Fetch its weights into the cache of the Hub, unless they are there, and return their folder.

        Raises
        ------
        MissingExtraError
            huggingface_hub is not installed.
        """
        api = _hub(self.api)
        names = api.list_repo_files(self.repo_id, revision=self.commit)
        wanted = _SAFE if any(name.endswith(".safetensors") for name in names) else _PICKLED
        return Path(api.snapshot_download(self.repo_id, revision=self.commit, allow_patterns=wanted))


def hub_revisions(repo_id: str, pattern: str = r"step(\d+)", *, api: Any = None) -> dict[int, HubRevision]:
    r"""Return the checkpoints that a model on the Hub publishes, by training step.

    ::

        revisions = hub_revisions("EleutherAI/pythia-70m")
        early = {step: revision for step, revision in revisions.items() if step <= 1000}
        run = record_checkpoints(
            early,
            lambda at: AutoModelForCausalLM.from_pretrained(at.repo_id, revision=at.commit),
            probe,
            "pythia.rdmviz",
        )

    Parameters
    ----------
    repo_id : str
        Such as ``"EleutherAI/pythia-70m"``, with revisions ``step0`` to ``step143000``, or
        ``"allenai/OLMo-2-0425-1B"``, with ``stage1-step1000-tokens3B`` and so on.
    pattern : str
        Regular expression that finds the step in the name of a branch or tag, in its one group. Others are
        left out; ``r"^stage1-step(\d+)"`` chooses a stage.
    api : huggingface_hub.HfApi, optional
        Whom to ask: with another endpoint or token than usual.

    Returns
    -------
    dict
        Step to :class:`HubRevision`, in order of the step.

    Raises
    ------
    CheckpointNotFoundError
        No name matches.
    StepsError
        Two that match have one step and are not one commit.
    OptionError
        ``pattern`` is no regular expression with one group.
    MissingExtraError
        huggingface_hub is not installed.
    """
    try:
        expression = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise OptionError(f"pattern={pattern!r:.80} is no regular expression ({error})") from error
    if expression.groups != 1:
        raise OptionError(
            rf"pattern={pattern!r:.80} has {expression.groups} groups; expected one: r'step(\d+)'"
        )
    refs = _hub(api).list_repo_refs(repo_id)
    found: dict[int, HubRevision] = {}
    names = [ref.name for ref in (*refs.branches, *refs.tags)]
    for ref in (*refs.branches, *refs.tags):
        match = expression.search(ref.name)
        if match is None:
            continue
        step = _number(match.group(1), ref.name, pattern)
        revision = HubRevision(repo_id, ref.name, ref.target_commit, api)
        if step in found and found[step].commit != revision.commit:
            raise StepsError(
                f"step {step} of {repo_id} is both {found[step].revision!r:.80} and {ref.name!r:.80}; "
                rf"expected one. Narrow the pattern, for example r'^stage1-step(\d+)'"
            )
        found.setdefault(step, revision)
    if not found:
        listed = ", ".join(map(repr, names[:_MOST_NAMES])) or "none"
        raise CheckpointNotFoundError(
            f"no revision of {repo_id} matches {pattern!r}; there are {listed}"
            + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
        )
    return dict(sorted(found.items()))


def _number(text: str | None, name: str, pattern: str) -> int:
    try:
        return int(text or "")
    except ValueError as error:
        raise OptionError(
            f"pattern={pattern!r:.80} finds {text!r:.40} in {name!r:.80}; expected a group of digits"
        ) from error


def _hub(api: Any) -> Any:
    if api is not None:
        return api
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtraError(
            'revisions on the Hub need huggingface_hub: pip install "rdmviz[checkpoints]"'
        ) from error
    return HfApi()
