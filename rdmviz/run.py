"""TrainingRun: the losses of a fixed probe set at every recorded step, labelled."""

from __future__ import annotations

import html
from collections.abc import Mapping
from numbers import Integral
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from rdmviz.errors import MetricError, OptionError, ProbeError, SnapshotError, StepNotFoundError, WindowError
from rdmviz.pictures import picture_dims
from rdmviz.reading import ReadAhead
from rdmviz.snapshots import KINDS, HeldSnapshots, SnapshotSource, checked_snapshots, labelled
from rdmviz.validation import (
    checked_attrs,
    checked_loss,
    checked_metrics,
    checked_probe,
    checked_steps,
    is_dask,
    nearest,
)

if TYPE_CHECKING:
    import pandas as pd

    from rdmviz.store import RunStore

__all__ = ["TrainingRun"]

_BLOCK_BYTES, _STEPS = 32 * 2**20, np.iinfo(np.int64)
_RECORDED_BY = {
    "weights": "weights='full'",
    "singular_values": "weights='spectra'",
    "representations": "representations=[names of layers]",
    "gaussian": "gaussian=record.GaussianSnapshots()",
}


class TrainingRun:
    """One training, seen through the losses of a fixed probe set.

    Made by :meth:`from_arrays`, :func:`rdmviz.open_run`, :func:`rdmviz.load_example` or a
    :class:`rdmviz.Recorder`; the losses of a stored run are read when they are asked for. Runs do not
    change after they are made.

    Attributes
    ----------
    origin : str
        Python that opens the run again, such as ``rdmviz.load_example('grokking')``; empty for a run that was
        made in memory.
    """

    origin = ""

    def __init__(
        self,
        loss: xr.DataArray,
        *,
        probe: Mapping[str, Any],
        metrics: Mapping[str, np.ndarray],
        name: str,
        attrs: Mapping[str, Any],
        store: RunStore | None = None,
        snapshots: SnapshotSource | None = None,
    ) -> None:
        self._loss = loss
        self._steps: np.ndarray = loss["step"].to_numpy()
        self._steps.flags.writeable = False
        columns = {key: (picture_dims(key, len(values.shape)), values) for key, values in probe.items()}
        self._probe = xr.Dataset({key: column for key, column in columns.items() if len(column[0]) == 1})
        self._images = xr.Dataset({key: column for key, column in columns.items() if len(column[0]) > 1})
        self._metrics = xr.Dataset(
            {key: ("step", values) for key, values in metrics.items()}, coords={"step": loss["step"]}
        )
        self._name = name
        self._attrs = dict(attrs)
        self._store = store
        self._snapshots: SnapshotSource = HeldSnapshots() if snapshots is None else snapshots
        self._finite: np.ndarray | None = None
        self._ahead = ReadAhead(self.chunked) if self.chunked is not None and store is None else None

    @classmethod
    def from_arrays(
        cls,
        loss: Any,
        steps: Any = None,
        *,
        probe: Mapping[str, Any] | pd.DataFrame | None = None,
        metrics: Mapping[str, Any] | pd.DataFrame | None = None,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        snapshot_steps: Any = None,
        weights: Mapping[str, Any] | None = None,
        singular_values: Mapping[str, Any] | None = None,
        representations: Mapping[str, Any] | None = None,
        gaussian: Mapping[str, Any] | None = None,
    ) -> TrainingRun:
        """Make a run from arrays.

        Parameters
        ----------
        loss : array_like, shape (T, n)
            Loss of each of ``n >= 2`` probe datapoints at each of ``T >= 1`` recorded steps. NaN and
            infinite values are kept. Floating-point arrays are not copied: do not change them afterwards.
            A dask array is read chunk by chunk, on its cluster, when something is computed.
        steps : array_like of int, shape (T,), optional
            Training step of each row, strictly increasing; ``0 .. T-1`` by default.
        probe : mapping or DataFrame, optional
            Facts about the datapoints: name to ``n`` numbers, booleans or texts. Pictures, too: ``(n, height,
            width)`` or ``(n, height, width, channels)`` with 1, 3 or 4 channels, uint8 or floats in 0..1; one
            that is NaN (or masked) throughout is missing.
        metrics : mapping or DataFrame, optional
            Curves recorded beside the losses: name to ``T`` numbers.
        name : str
            What to call the run in titles and tables.
        attrs : mapping, optional
            Facts about the run that JSON can hold: recipe, seed, ground truth.
        snapshot_steps : array_like of int, shape (S,), optional
            Training step of each snapshot, strictly increasing; of other steps than the losses, if need be.
        weights, singular_values, representations : mapping, optional
            Snapshots: layer to weights ``(S, ...)``, to singular values ``(S, k)``, and to representations of
            the probe ``(S, n, features)`` or ``(S, n, positions, features)``.
        gaussian : mapping, optional
            Gaussian 2RDM at each snapshot, as :attr:`gaussian` has it: ``eigenvalues (S, modes)``,
            ``eigenvectors (S, leading, n)``, ``draws (S,)``, and of the rest what is known.

        Raises
        ------
        LossShapeError, StepsError, ProbeError, MetricError, SnapshotError, OptionError
            With the value, what was expected and the way out.
        """
        values = checked_loss(loss)
        rows, samples = values.shape
        return cls(
            xr.DataArray(
                values, dims=("step", "sample"), coords={"step": checked_steps(steps, rows)}, name="loss"
            ),
            probe=checked_probe(probe, samples),
            metrics=checked_metrics(metrics, rows),
            name=str(name),
            attrs=checked_attrs(attrs),
            snapshots=checked_snapshots(
                snapshot_steps,
                dict(zip(KINDS, (weights, singular_values, representations, gaussian), strict=True)),
                samples,
            ),
        )

    @classmethod
    def from_store(cls, store: RunStore, losses: Any = None) -> TrainingRun:
        """Make a run from an opened store, its `losses` as they are given or lazily read."""
        data = store.lazy_loss() if losses is None else losses
        loss = xr.DataArray(data, dims=("step", "sample"), coords={"step": store.steps}, name="loss")
        probe = {**store.probe, **store.lazy_pictures()}
        return cls(
            loss,
            probe=probe,
            metrics=store.metrics,
            name=store.name,
            attrs=store.attrs,
            store=store,
            snapshots=store.snapshots,
        )

    @property
    def loss(self) -> xr.DataArray:
        """Losses with dimensions ``(step, sample)``; of a stored run, read when its values are asked for."""
        return self._loss

    @property
    def steps(self) -> np.ndarray:
        """Training step of each row, int64, shape (T,), read-only."""
        return self._steps

    @property
    def probe(self) -> xr.Dataset:
        """Facts about the datapoints, one variable of dimension ``sample`` per column."""
        return self._probe

    @property
    def images(self) -> xr.Dataset:
        """Pictures of the datapoints: one variable per column, dimensions sample, row, column[, channel].

        The last three are named after the column; values are uint8, or float32 in 0..1, NaN throughout where
        a picture is missing. Of a stored run they are read when their values are asked for.
        """
        return self._images

    @property
    def metrics(self) -> xr.Dataset:
        """Curves recorded beside the losses, one float64 variable of dimension ``step`` each."""
        return self._metrics

    @property
    def snapshots(self) -> dict[str, list[str]]:
        """Layers that snapshots were taken of: kind to names; empty for a run without snapshots.

        Kinds are ``weights``, ``singular_values``, ``representations`` and ``gaussian``: a property of the
        run each.
        """
        return {kind: list(names) for kind, names in self._snapshots.names.items()}

    @property
    def snapshot_steps(self) -> np.ndarray:
        """Training step of each snapshot, int64, shape (S,), read-only; empty without snapshots."""
        return self._snapshots.steps

    @property
    def weights(self) -> xr.Dataset:
        """Weights along the training: one variable per parameter, ``(snapshot, ...)``, coordinate ``step``.

        The further dimensions are named ``<parameter>_axis0, ...``. Of a stored run, one snapshot of one
        layer is read at a time, when its values are asked for.

        Raises
        ------
        SnapshotError
            None were recorded; the message says how to.
        """
        return self._snapshots_of("weights")

    @property
    def singular_values(self) -> xr.Dataset:
        """Singular values of weights, largest first: one variable ``(snapshot, <parameter>_mode)`` each.

        Read as :attr:`weights` are.

        Raises
        ------
        SnapshotError
            None were recorded; the message says how to.
        """
        return self._snapshots_of("singular_values")

    @property
    def representations(self) -> xr.Dataset:
        """Outputs of layers for the probe: one variable per layer, ``(snapshot, sample, <layer>_feature)``.

        Of sequences, ``(snapshot, sample, <layer>_position, <layer>_feature)``. Read as :attr:`weights` are.

        Raises
        ------
        SnapshotError
            None were recorded; the message says how to.
        """
        return self._snapshots_of("representations")

    @property
    def gaussian(self) -> xr.Dataset:
        """Gaussian 2RDM along the training: the covariance of the losses over displacements of the model.

        ``eigenvalues(snapshot, mode)``, all that can differ from zero, descending, loss²;
        ``eigenvectors(snapshot, leading, sample)``, unit vectors of the leading ones, NaN for datapoints that
        were left out; ``mean_loss(snapshot, sample)`` over the draws; and of each snapshot the number of
        ``draws``, ``sigma``, whether it is ``relative`` (1 or 0), and ``displacement``, the length that a
        displacement of all weights has, root mean square. NaN where a displaced model had losses that are not
        finite, eigenvectors also where no loss moved. Read as :attr:`weights` are;
        :func:`rdmviz.gaussian_modes` makes curves of it.

        Raises
        ------
        SnapshotError
            None were recorded; the message says how to.
        """
        return self._snapshots_of("gaussian")

    def _snapshots_of(self, kind: str) -> xr.Dataset:
        if kind not in self._snapshots.names:
            option, there = _RECORDED_BY[kind], ", ".join(self._snapshots.names) or "no snapshots"
            raise SnapshotError(
                f"the run {self._name!r} holds no {kind.replace('_', ' ')} (it holds {there}). Record them "
                f"with Recorder(..., snapshots=record.Snapshots(every=100, {option})), or give {kind}= and "
                "snapshot_steps= to TrainingRun.from_arrays; run.snapshots lists what is there"
            )
        return labelled(kind, self._snapshots.steps, self._snapshots.arrays(kind))

    @property
    def name(self) -> str:
        """What the run is called in titles and tables."""
        return self._name

    @property
    def attrs(self) -> dict[str, Any]:
        """Facts about the run (recipe, seed, ground truth), as plain JSON values."""
        return self._attrs

    @property
    def n_steps(self) -> int:
        """Number ``T`` of recorded steps."""
        return int(self._loss.shape[0])

    @property
    def n_samples(self) -> int:
        """Number ``n`` of probe datapoints."""
        return int(self._loss.shape[1])

    @property
    def tree(self) -> xr.DataTree:
        """The whole run as a DataTree: ``/loss``, ``/probe/...``, ``/images/...``, ``/metrics/...``.

        Snapshots are in ``/weights/...``, ``/singular_values/...``, ``/representations/...`` and
        ``/gaussian/...``. A tree reads ``/`` as a path, so a metric ``val/loss`` is called ``val.loss``
        there.
        """
        root = xr.Dataset({"loss": self._loss}, attrs={"name": self._name, **self._attrs})
        return xr.DataTree.from_dict(
            {
                "/": root,
                "/probe": _without_slashes(self._probe, ProbeError),
                **({"/images": _without_slashes(self._images, ProbeError)} if self._images else {}),
                "/metrics": _without_slashes(self._metrics, MetricError),
                **{
                    f"/{kind}": _without_slashes(self._snapshots_of(kind), SnapshotError)
                    for kind in self.snapshots
                },
            }
        )

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return the losses of rows ``start .. stop-1``, shape (stop - start, n), in their stored precision.

        Only the chunks that hold these rows are read from a stored run.

        Raises
        ------
        WindowError
            Unless ``0 <= start <= stop <= T``.
        """
        if not 0 <= start <= stop <= self.n_steps:
            raise WindowError(
                f"rows {start} to {stop} asked for; expected 0 <= start <= stop <= {self.n_steps}"
            )
        if self._store is not None:
            return self._store.rows(start, stop)
        if self._ahead is not None:
            return self._ahead(start, stop)
        return np.asarray(self._loss.variable.data[start:stop])

    @property
    def in_memory(self) -> np.ndarray | None:
        """The losses ``(T, n)`` if they are an array in memory (or a memory map), else None."""
        data = self._loss.variable._data
        return data if isinstance(data, np.ndarray) else None

    @property
    def store(self) -> RunStore | None:
        """The store that the run was opened from, else None."""
        return self._store

    @property
    def chunked(self) -> Any:
        """The losses ``(T, n)`` if they are a dask array, else None."""
        data = self._loss.variable._data
        return data if is_dask(data) else None

    def index_of(self, step: int) -> int:
        """Return the row recorded at training step ``step``.

        Raises
        ------
        StepNotFoundError
            Nothing was recorded at that step; the message names the nearest ones.
        """
        given: Any = step.item() if isinstance(step, np.generic) else step
        if isinstance(given, bool) or not isinstance(given, (Integral, float)) or given % 1 != 0:
            raise StepNotFoundError(f"step {given!r:.60} is not a training step; expected an integer")
        asked = int(given)  # beyond 2**53 floats take neighbours for each other
        inside = min(max(asked, _STEPS.min), _STEPS.max)
        row = int(np.searchsorted(self._steps, inside))
        if inside != asked or row == self.n_steps or self._steps[row] != asked:
            near = " and ".join(map(str, nearest(self._steps, inside)))
            named = str(asked) if inside == asked else f"of {asked.bit_length()} bits"
            raise StepNotFoundError(
                f"nothing was recorded at step {named}; the nearest recorded: {near} "
                f"(steps {self._steps[0]} to {self._steps[-1]}, see run.steps)"
            )
        return row

    def first_step(
        self, metric: str, *, at_least: float | None = None, at_most: float | None = None
    ) -> int | None:
        """Return the first recorded step at which a metric reaches a level, or None if it never does.

        Parameters
        ----------
        metric : str
            One of ``metrics``. Rows at which it is NaN do not count.
        at_least, at_most : float
            The level, one of the two.

        Raises
        ------
        MetricError
            The run has no such metric.
        OptionError
            Both levels are given, or none.
        """
        if metric not in self._metrics:
            there = ", ".join(map(repr, self._metrics)) or "none"
            raise MetricError(f"the run {self._name!r} has no metric {metric!r:.60}; it has {there}")
        if (at_least is None) == (at_most is None):
            raise OptionError(
                f"at_least={at_least}, at_most={at_most}; expected one of the two, "
                'such as first_step("test_accuracy", at_least=0.5)'
            )
        values = self._metrics[metric].to_numpy()
        rows = np.flatnonzero(values >= at_least if at_most is None else values <= at_most)
        return int(self._steps[rows[0]]) if rows.size else None

    def step_around(self, step: int, window: int = 64) -> int:
        """Return the recorded step whose trailing window has ``step`` in its middle.

        Windows end at their step, so what happens at ``step`` is seen best half a window later. Near the ends
        of a run it is the first step with a full window, or the last step.

        Raises
        ------
        StepNotFoundError
            Nothing was recorded at ``step``.
        WindowError
            The run has fewer rows than a window.
        """
        if not 2 <= window <= self.n_steps:
            raise WindowError(f"window={window}; expected 2 to {self.n_steps}, the rows of the run")
        row = self.index_of(step) + window // 2
        return int(self._steps[min(max(row, window - 1), self.n_steps - 1)])

    def finite_rows(self) -> np.ndarray:
        """Return which rows hold finite losses only, bool, shape (T,)."""
        if self._finite is None:
            if self.chunked is not None:
                finite = np.array(np.isfinite(self.chunked).all(axis=1))
            else:
                block = max(1, _BLOCK_BYTES // (self.n_samples * self._loss.dtype.itemsize))
                starts = range(0, self.n_steps, block)
                blocks = (self.rows(start, min(start + block, self.n_steps)) for start in starts)
                finite = np.concatenate([np.isfinite(rows).all(axis=1) for rows in blocks])
            finite.flags.writeable = False
            self._finite = finite
        return self._finite

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> str | PathLike[str]:
        """Write the run as a Zarr v3 store and return ``path``.

        Parameters
        ----------
        path : path or URL
            A folder; a ``.zip`` file; or an fsspec URL such as ``memory://run``.
        overwrite : bool
            Replace a run that is there already. Anything that is not a run is never replaced.

        Raises
        ------
        StoreExistsError
            Something is at the path.
        MissingExtraError
            A URL needs fsspec.
        """
        from rdmviz.store import save_run

        save_run(
            path,
            self.rows,
            self._steps,
            samples=self.n_samples,
            dtype=self._loss.dtype,
            probe={
                str(key): column.to_numpy()
                for facts in (self._probe, self._images)
                for key, column in facts.data_vars.items()
            },
            metrics={str(key): curve.to_numpy() for key, curve in self._metrics.data_vars.items()},
            name=self._name,
            attrs=self._attrs,
            overwrite=overwrite,
            snapshots={kind: self._snapshots_of(kind) for kind in self.snapshots},
            lost=() if self.store is None else self.store.lost,
        )
        return path

    def __repr__(self) -> str:
        facts = [f"{key}: {', '.join(map(repr, names))}" for key, names in self._contents() if names]
        return "\n".join(
            [f"<TrainingRun {self._name!r}: {self._extent()}>", *(f"  {fact}" for fact in facts)]
        )

    def _repr_html_(self) -> str:
        lines = [
            f"<li><b>{html.escape(key)}</b>: {html.escape(', '.join(names))}</li>"
            for key, names in self._contents()
            if names
        ]
        title = html.escape(self._name or "unnamed")
        return (
            f"<div class='rdmviz-run'><b>TrainingRun</b> {title}: {html.escape(self._extent())}"
            f"<ul>{''.join(lines)}</ul></div>"
        )

    def _extent(self) -> str:
        return (
            f"{self.n_steps} rows (steps {self._steps[0]} to {self._steps[-1]}) "
            f"× {self.n_samples} datapoints, {self._loss.dtype}{self._in_chunks()}"
        )

    def _in_chunks(self) -> str:
        return "" if self.chunked is None else f", in {self.chunked.npartitions} dask chunks"

    def _contents(self) -> list[tuple[str, list[str]]]:
        return [
            ("probe", [str(key) for key in self._probe]),
            ("images", [str(key) for key in self._images]),
            ("metrics", [str(key) for key in self._metrics]),
            *(
                (f"{kind} at {len(self.snapshot_steps)} steps", names)
                for kind, names in self.snapshots.items()
            ),
            ("attrs", [str(key) for key in self._attrs]),
        ]


def _without_slashes(dataset: xr.Dataset, error: type[ValueError]) -> xr.Dataset:
    renamed = {key: str(key).replace("/", ".") for key in dataset.data_vars if "/" in str(key)}
    taken = sorted(set(renamed.values()) & {str(key) for key in dataset.data_vars})
    if taken or len(set(renamed.values())) < len(renamed):
        raise error(
            f"names {sorted(map(str, renamed))} cannot stand in a DataTree without clashing; rename them"
        )
    return dataset.rename(renamed)
