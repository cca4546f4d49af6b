"""Snapshots of a training network: weights, singular values, what layers make of the probe, Gaussian 2RDM."""

from __future__ import annotations

import difflib
import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rdmviz.errors import OptionError, SnapshotError
from rdmviz.record.compiling import not_compiled
from rdmviz.record.gaussian_snapshots import DrawnModes, GaussianSnapshots, Sharing
from rdmviz.record.probe import Probe
from rdmviz.record.schedules import checked_schedule
from rdmviz.snapshots import check_names
from rdmviz.store.snapshots import Parts

__all__ = ["SnapshotTaker", "Snapshots"]

_DTYPES = {"float16": torch.float16, "float32": torch.float32}
_MOST_NAMES = 8


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """What of a network is recorded beside the losses, and when.

    ::

        snapshots = Snapshots(every=100, weights="spectra", representations=["encoder", "head.0"])
        with Recorder("run.rdmviz", probe, snapshots=snapshots) as recorder:
            ...
        recorder.run.singular_values["encoder.weight"].sel(...)

    Representations come from the forward pass that the losses are computed from. A row of losses is recorded
    at the step of every snapshot, so let ``every`` be a multiple of the Recorder's for rows evenly spaced.

    Parameters
    ----------
    every : int, schedule or callable
        Steps that are multiples of this, those of a schedule, or those of which ``every(step)`` is true.
    weights : {"full", "spectra", None}
        Whole parameters as float32; their singular values alone, largest first, in double precision (NaN
        where a weight is not finite); or neither. Kernels of convolutions keep their shape; for singular
        values they are matrices of their first axis against all others.
    layers : list of str, optional
        Which parameters: names such as ``"fc1.weight"``, modules such as ``"fc1"`` for all theirs, or
        patterns such as ``"blocks.*.weight"``. By default all with two dimensions or more, which biases have
        not: name those.
    representations : list of str
        Modules whose outputs for the probe are recorded, by name or pattern: ``(n, features)``, or
        ``(n, positions, features)`` where they have three dimensions; more are flattened to features. Of an
        output with several parts, the first tensor is taken. A compiled model runs as it was written then, so
        its losses at these steps may differ in rounding.
    dtype : dtype
        Precision of representations, float32 or float16; what is beyond it is recorded as infinite.
    gaussian : GaussianSnapshots, optional
        Take the Gaussian 2RDM, too: the covariance of the losses over random displacements of the model.

    Raises
    ------
    OptionError
        An option has no meaning, or nothing is left to record.
    """

    every: Any = 100
    weights: Literal["full", "spectra"] | None = "full"
    layers: Sequence[str] | None = None
    representations: Sequence[str] = ()
    dtype: Any = np.float32
    gaussian: GaussianSnapshots | None = None

    def __post_init__(self) -> None:
        if self.weights not in ("full", "spectra", None):
            raise OptionError(f"weights={self.weights!r:.60}; expected 'full', 'spectra' or None")
        if str(getattr(self.dtype, "__name__", self.dtype)) not in _DTYPES:
            raise OptionError(f"dtype={self.dtype!r:.60}; expected float32 or float16 for representations")
        for option in ("layers", "representations"):
            object.__setattr__(self, option, _names(option, getattr(self, option)))
        if self.weights is None and self.layers is not None:
            raise OptionError(
                f"layers={self.layers!r:.60} with weights=None; expected weights='full' or 'spectra'"
            )
        if self.gaussian is not None and not isinstance(self.gaussian, GaussianSnapshots):
            raise OptionError(
                f"gaussian={self.gaussian!r:.60}; expected None or record.GaussianSnapshots(draws=256)"
            )
        if self.weights is None and not self.representations and self.gaussian is None:
            raise OptionError(
                "snapshots of nothing; give weights='full' or 'spectra', representations=[...], or "
                "gaussian=GaussianSnapshots()"
            )
        checked_schedule(self.every)


class SnapshotTaker:
    """Takes the snapshots of one recording.

    Parameters
    ----------
    snapshots
        What is taken, and when.
    samples : int
        Number of datapoints.

    Attributes
    ----------
    schedule
        Says whether a snapshot is due; to be told of those taken.
    """

    def __init__(self, snapshots: Snapshots, samples: int) -> None:
        if not isinstance(snapshots, Snapshots):
            raise OptionError(
                f"snapshots is a {type(snapshots).__name__}; expected Snapshots(every=100, weights='full')"
            )
        self._what = snapshots
        self._dtype = _DTYPES[str(getattr(snapshots.dtype, "__name__", snapshots.dtype))]
        self.schedule = checked_schedule(snapshots.every)
        self._checked: Callable[[], nn.Module | None] = lambda: None
        self._drawn = None if snapshots.gaussian is None else DrawnModes(snapshots.gaussian)
        if snapshots.gaussian is not None:
            snapshots.gaussian.check(samples)

    @property
    def watches(self) -> bool:
        """Whether representations are taken."""
        return bool(self._what.representations)

    def check(self, model: nn.Module) -> None:
        """Check that the model has the layers that were asked for, once.

        Raises
        ------
        OptionError
            It has not; the message lists names that are near.
        SnapshotError
            A layer cannot be told from a dimension of another.
        """
        if self._checked() is model:
            return
        sizes = {name: 1 + weight.ndim for name, weight in self._weights(model).items()}
        check_names("weights", sizes if self._what.weights == "full" else dict.fromkeys(sizes, 2))
        check_names("representations", dict.fromkeys(self._modules(model), 4))
        if self._drawn is not None:
            self._drawn.check(_inner(model))
        self._checked = weakref.ref(model)

    def layers(self, model: nn.Module) -> list[str]:
        """Return the modules whose outputs are recorded, by name."""
        return list(self._modules(model))

    @contextmanager
    def watching(self, model: nn.Module, probe: Probe, seen: dict[str, np.ndarray]) -> Iterator[None]:
        """Keep what the layers put out while a probe goes through the model within the block.

        Nothing stays on the model, also when the block raises. What is compiled runs as it was written within
        the block: it would not call hooks that are new to it.

        Parameters
        ----------
        probe
            Where tokens are the datapoints, the outputs for those that count are kept, at the places where
            they are predicted.
        seen
            Where to put them: layer to array ``(n, ...)``.

        Raises
        ------
        SnapshotError
            A layer did not give one output per datapoint.
        """
        modules = self._modules(model)
        outputs: dict[str, list[Tensor]] = {name: [] for name in modules}
        with ExitStack() as hooks:
            if modules:
                hooks.enter_context(not_compiled())
            for name, module in modules.items():
                hook = module.register_forward_hook(self._keeping(name, outputs[name]))
                hooks.callback(hook.remove)
            yield
        places = None if probe.tokens is None else probe.tokens.places
        for name, batches in outputs.items():
            seen[name] = _representation(name, batches, probe.items, places)

    @property
    def facts(self) -> dict[str, Any]:
        """What a recording that goes on has to have in common with what is there, as JSON."""
        return {} if self._what.gaussian is None else {"gaussian": self._what.gaussian.facts}

    def drawn(
        self, model: nn.Module, probe: Probe, losses: np.ndarray, sharing: Sharing
    ) -> dict[str, np.ndarray]:
        """Return the Gaussian 2RDM, if it is taken: see :meth:`DrawnModes.parts`."""
        if self._drawn is None:
            return {}
        with not_compiled():
            return self._drawn.parts(_inner(model), probe, losses, sharing)

    def parts(
        self, model: nn.Module, seen: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray] | None = None
    ) -> Parts:
        """Return a snapshot: kind and layer to array.

        Parameters
        ----------
        model
            As it is now. No array shares its memory.
        seen
            What its layers made of the probe.
        drawn
            Its Gaussian 2RDM, if it was taken.
        """
        parts: dict[str, Mapping[str, np.ndarray]] = {}
        weights = self._weights(model)
        if self._what.weights == "full":
            parts["weights"] = {
                name: weight.detach().to("cpu", torch.float32, copy=True).numpy()
                for name, weight in weights.items()
            }
        elif self._what.weights == "spectra":
            parts["singular_values"] = {name: _singular_values(weight) for name, weight in weights.items()}
        return parts | {
            kind: found for kind, found in (("representations", seen), ("gaussian", drawn)) if found
        }

    def _weights(self, model: nn.Module) -> dict[str, nn.Parameter]:
        if self._what.weights is None:
            return {}
        model = _inner(model)
        there = dict(model.named_parameters(remove_duplicate=False))
        if self._what.layers is None:
            names = [
                name
                for name, weight in model.named_parameters()
                if weight.ndim >= 2 and weight.numel() and weight.is_floating_point()
            ]
            if not names:
                raise OptionError(
                    f"{type(model).__name__} has no parameter with two dimensions or more; name others with "
                    f"layers=[...], or take none with weights=None"
                )
        else:
            asked = self._what.layers
            names = _chosen("layers", asked, list(there), lambda name, word: name.startswith(f"{word}."))
            if self._what.weights == "spectra":  # of a pattern or a module, those that have singular values
                names = [name for name in names if there[name].ndim >= 2 or name in asked]
        for name in names:
            weight = there[name]
            least = 2 if self._what.weights == "spectra" else 1
            if weight.ndim < least or not weight.numel() or not weight.is_floating_point():
                raise OptionError(
                    f"layer {name!r} has shape {tuple(weight.shape)} and dtype {weight.dtype}; expected real "
                    f"numbers of {least} or more dimensions for weights={self._what.weights!r}"
                )
        return {name: there[name] for name in names}

    def _modules(self, model: nn.Module) -> dict[str, nn.Module]:
        there = {name: module for name, module in _inner(model).named_modules() if name}
        names = _chosen("representations", self._what.representations, list(there), lambda name, word: False)
        return {name: there[name] for name in names}

    def _keeping(self, name: str, batches: list[Tensor]) -> Callable[[nn.Module, Any, Any], None]:
        def keep(module: nn.Module, given: Any, output: Any) -> None:
            tensor = _first_tensor(output)
            if tensor is None or tensor.ndim == 0 or tensor.is_complex():
                raise SnapshotError(
                    f"module {name!r} gave {_described(output)}; expected a tensor of real numbers, "
                    "datapoints first. Name another module in representations=[...]"
                )
            # a copy: what comes next may change it in place
            batches.append(tensor.detach().to("cpu", self._dtype, copy=True))

        return keep


def _names(option: str, given: Any) -> tuple[str, ...] | None:
    if given is None:
        return None if option == "layers" else ()
    words = (given,) if isinstance(given, str) else given
    if not isinstance(words, Sequence) or not all(isinstance(word, str) and word for word in words):
        raise OptionError(f"{option}={given!r:.60}; expected a list of names or patterns")
    if not words and option == "layers":
        raise OptionError("layers=[]; expected names of parameters, or weights=None for no weights")
    return tuple(words)


def _inner(model: nn.Module) -> nn.Module:
    """Return the module that was compiled or spread over devices: names are the same everywhere."""
    while True:
        if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            model = model.module
        elif isinstance(inner := model._modules.get("_orig_mod"), nn.Module):
            model = inner
        else:
            return model


def _chosen(
    option: str, asked: Sequence[str], there: list[str], also: Callable[[str, str], bool]
) -> list[str]:
    """Return those names that were asked for, in the order of the network."""
    wanted: set[str] = set()
    for word in asked:
        found = {word} & set(there) or {n for n in there if fnmatchcase(n, word) or also(n, word)}
        if not found:
            near = difflib.get_close_matches(word, there, n=_MOST_NAMES, cutoff=0.4) or there[:_MOST_NAMES]
            more = f" and {len(there) - len(near)} more" if len(there) > len(near) else ""
            raise OptionError(
                f"{option} names {word!r:.80}, which the model has not; it has "
                f"{', '.join(map(repr, near)) or 'none'}{more}"
            )
        wanted |= found
    return [name for name in there if name in wanted]


def _singular_values(weight: Tensor) -> np.ndarray:
    matrix = weight.detach().to("cpu", torch.float64).flatten(1)
    if not bool(torch.isfinite(matrix).all()):  # a training that is lost goes on being recorded
        return np.full(min(matrix.shape), np.nan)
    values: np.ndarray = torch.linalg.svdvals(matrix).numpy()
    return values


def _first_tensor(output: Any) -> Tensor | None:
    """Return the output, or the first tensor of a tuple, list or mapping, as blocks of transformers give."""
    if isinstance(output, Tensor):
        return output
    several = output.values() if isinstance(output, Mapping) else output
    if not isinstance(several, (tuple, list)) and several is output:
        return None
    return next((part for part in map(_first_tensor, several) if part is not None), None)


def _described(output: Any) -> str:
    return f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"


def _representation(name: str, batches: list[Tensor], samples: int, places: np.ndarray | None) -> np.ndarray:
    if not batches:
        raise SnapshotError(
            f"module {name!r} was not called in the forward pass; name one that is in representations=[...]"
        )
    shapes = sorted({tuple(batch.shape[1:]) for batch in batches})
    if len(shapes) > 1 or sum(map(len, batches)) != samples:
        given = ", ".join(str(tuple(batch.shape)) for batch in batches[:4])
        more = ", ..." if len(batches) > 4 else ""
        raise SnapshotError(
            f"module {name!r} gave {given}{more} for {samples} datapoints; expected each "
            "of them once, datapoints first, in one shape. A module that is called several times in a "
            "forward pass cannot be recorded: name one before or after it"
        )
    values: np.ndarray = torch.cat(batches).numpy()
    if places is not None:
        if values.shape[:2] != places.shape or values.ndim < 3:
            raise SnapshotError(
                f"module {name!r} gave {values.shape} where each token is a datapoint; expected an output "
                f"for each of {places.shape} sequences and positions, then features. Use per='sequence'"
            )
        values = values[places]
        return values.reshape(len(values), math.prod(values.shape[1:]))
    return values if values.ndim == 3 else values.reshape(samples, -1)
