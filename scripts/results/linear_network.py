"""The deep linear network: mode times against the closed form, and what the losses know of the modes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from rdmviz import TrainingRun, analyze, eigenmodes, gaussian_modes, groups
from rdmviz.compute.rdm.separation import adjusted_rand_index
from rdmviz.record import GaussianSnapshots, Snapshots
from rdmviz.studies import linear_network
from rdmviz.studies.linear_network import ITEMS, item_modes, transition
from results.setting import Claim, Figures, Setting

__all__ = ["SETTING"]

WINDOW = 32
ALARM = -0.5  # mean correlation of the items that a mode sends apart
EXACT = 1 - 1e-9
_MODES = range(len(ITEMS))
_TOLD = range(3, 7)  # modes that leave time for a window between the rise before and their own
_STRIDE = 4  # rows between two windows that are looked at
_SNAPSHOTS = Snapshots(every=100, weights=None, gaussian=GaussianSnapshots(modes=16))


def measure(run: TrainingRun) -> Mapping[str, float]:
    """Return the figures of a run."""
    return {**_times(run), **_at_rises(run), **_along(run), **_around_checkpoints(run)}


def _times(run: TrainingRun) -> dict[str, float]:
    """Relative errors of the half-times, interpolated between rows; NaN where a mode never gets there."""
    errors = np.full(len(ITEMS), np.nan)
    for mode, due in enumerate(run.attrs["half_times"]):
        curve, half = run.metrics[f"mode_{mode}"].to_numpy(), run.attrs["singular_values"][mode] / 2
        row = int(np.argmax(curve >= half))
        if row:
            errors[mode] = abs(
                np.interp(half, curve[row - 1 : row + 1], run.steps[row - 1 : row + 1]) / due - 1
            )
    return {"half_time_error": errors[:6].max(), "half_time_error_all": errors.max()}


def _at_rises(run: TrainingRun) -> dict[str, float]:
    """Measure centred windows around the middle of each rise, and detrended ones that end as it begins."""
    item = run.probe["item"].to_numpy()
    figures = {}
    for mode in _MODES:
        passed, loading = transition(run, mode), item_modes()[item, mode]
        names = (f"cosine_{mode}", f"moving_{mode}", f"together_{mode}", f"items_{mode}", f"apart_{mode}")
        figures.update(dict.fromkeys(names, np.nan))
        if passed.middle is not None:
            middle = run.step_around(passed.middle, WINDOW)
            drift = eigenmodes(run, middle, WINDOW, modes=WINDOW)
            found = groups(run, middle, WINDOW, count=2)["group"].to_numpy()
            leading, square = drift["eigenvector"][0].to_numpy(), loading**2
            figures[f"cosine_{mode}"] = abs(leading @ square) / np.linalg.norm(square)
            if len(set(square)) > 1:
                figures[f"moving_{mode}"] = adjusted_rand_index(found, (loading != 0).astype(int))
            figures[f"together_{mode}"] = _across(drift, loading)
        if passed.onset is not None:
            onset = max(passed.onset, int(run.steps[WINDOW - 1]))
            figures[f"items_{mode}"] = _items_found(run, onset)
            noise = eigenmodes(run, onset, WINDOW, "quadratic", modes=WINDOW)
            figures[f"apart_{mode}"] = _across(noise, loading)
    told = [figures[f"items_{mode}"] >= EXACT for mode in _MODES if transition(run, mode).reached]
    return figures | {"modes_at_which_groups_are_items": sum(told) if told else np.nan}


def _along(run: TrainingRun) -> dict[str, float]:
    """Measure detrended windows all along the run, from the end of the first rise if there is one."""
    first = transition(run, 0).end or 0
    start = run.index_of(first) + WINDOW - 1
    rows = range(start, run.n_steps, _STRIDE)
    loadings = item_modes()[run.probe["item"].to_numpy()].T
    across = np.empty((len(rows), len(ITEMS)))
    for place, row in enumerate(rows):
        noise = eigenmodes(run, int(run.steps[row]), WINDOW, "quadratic", modes=WINDOW)
        across[place] = [_across(noise, loading) for loading in loadings]
    curves = analyze(run, WINDOW, "linear")
    capacity = curves["spectral_heat_capacity"].to_numpy()
    settled = np.median(capacity[-len(capacity) // 4 :])
    figures = {
        "opposition": np.nanmin(across),
        "capacity_above_settled": np.log10(capacity[start + WINDOW :].max() / settled),
        "items_at_the_end": _items_found(run, int(run.steps[-1])),
    }
    rises: dict[str, list[float]] = {"spectral_heat_capacity": [], "mean_loss_variance": []}
    for mode in range(1, len(ITEMS)):
        middle, alarmed = transition(run, mode).middle, np.flatnonzero(across[:, mode] <= ALARM)
        figures[f"ahead_{mode}"] = np.nan
        if middle is None or not len(alarmed) or run.steps[rows[alarmed[0]]] >= middle:
            continue
        row = rows[alarmed[0]]
        figures[f"ahead_{mode}"] = middle - int(run.steps[row])
        if mode not in _TOLD:
            continue
        for curve_name, changes in rises.items():
            curve = curves[curve_name].to_numpy()
            changes.append(float(np.log10(curve[run.index_of(middle)] / curve[row])))
    return figures | {
        f"rise_of_{name.removeprefix('spectral_')}": max(changes, default=np.nan)
        for name, changes in rises.items()
    }


def _around_checkpoints(run: TrainingRun) -> dict[str, float]:
    """Measure displacements of checkpoints, from the end of the first rise if there is one."""
    names = ("gaussian_opposition", "centred_meanwhile", "gaussian_participation_gain")
    if "gaussian" not in run.snapshots:
        return dict.fromkeys(names, np.nan)
    first = transition(run, 0).end or 0
    start = int(run.steps[run.index_of(first) + WINDOW - 1])
    found = gaussian_modes(run).sel(step=slice(start, None))
    loadings = item_modes()[run.probe["item"].to_numpy()].T[1:]
    across = np.array(
        [[_across(found.isel(step=place), one) for one in loadings] for place in range(found.sizes["step"])]
    )
    place, mode = np.unravel_index(np.argmin(across), across.shape)
    centred = eigenmodes(run, int(found["step"][place]), WINDOW, modes=WINDOW)
    participation = found["participation_ratio"].to_numpy()
    return {
        "gaussian_opposition": across[place, mode],
        "centred_meanwhile": _across(centred, loadings[mode]),
        "gaussian_participation_gain": participation[-1] / participation[0],
    }


def _items_found(run: TrainingRun, step: int) -> float:
    """Return the adjusted Rand index, against items, of eight groups by what fluctuates up to a step."""
    found = groups(run, step, WINDOW, "quadratic", modes=8, count=len(ITEMS), scale="direction")
    return adjusted_rand_index(found["group"].to_numpy(), run.probe["item"].to_numpy())


def _across(modes: xr.Dataset, loading: np.ndarray) -> float:
    """Mean correlation, in a 2RDM, of datapoints with a positive loading with those with a negative one."""
    points = np.sqrt(modes["eigenvalue"].to_numpy())[:, None] * modes["eigenvector"].to_numpy()
    sizes = np.linalg.norm(points, axis=0)
    points = np.divide(points, sizes, out=np.zeros_like(points), where=sizes > 0)
    up, down = points[:, loading > 0], points[:, loading < 0]
    return float((up.T @ down).mean()) if down.size else np.nan


def _findings(figures: Figures) -> Sequence[str]:
    real, aligned, quiet = figures[""], figures["aligned"], figures["no_noise"]
    modes, branches = range(8), range(1, 8)
    alarms, early = (
        [one[f"ahead_{mode}"] for one in real.values() for mode in which] for which in (_TOLD, (1, 2))
    )
    controls = [one["opposition"] for name in linear_network.CONTROLS for one in figures[name].values()]
    plain = [
        one[f"rise_of_{curve}"] for one in real.values() for curve in ("heat_capacity", "mean_loss_variance")
    ]
    paragraphs = [
        f"""**What drifts.** At the rise of a mode losses fall as the square of its loadings: the leading
        eigenvector of a window of {WINDOW} rows around its middle is that square for the first modes (cosines
        of modes 0 to 7: {_listed(real, "cosine", modes)}). Two groups in it agree with the items that the
        mode tells apart and the rest to adjusted Rand indices of {_listed(real, "moving", range(2, 6))} for
        modes 2 to 5: the rises of later modes overlap, and what a mode moves varies with the noise on the
        targets. The two sides of a branch fall together (correlation across it, modes 1 to 7:
        {_listed(real, "together", branches)}): by what drifts a pair of leaves cannot be told apart.""",
        f"""**What fluctuates.** With the trend removed it can: in a window of {WINDOW} rows under quadratic
        detrending that *ends* as a mode has a tenth of its strength, eight groups by direction are the eight
        items (adjusted Rand index for modes 0 to 7: {_listed(real, "items", modes)}; aligned start:
        {_listed(aligned, "items", modes)}). That datapoints of one item fluctuate together says no more than
        that they share an input, and holds in a control until its one mode has risen. The tree is in the
        signs: the sides of a branch that is not learned yet fluctuate against each other (correlation across
        it at the onset of modes 1 to 7: {_listed(real, "apart", branches)}).""",
        f"""**A warning that controls do not give.** Chance batches push the network along features that it
        does not have yet, to the good of the items on one side of a branch and at the cost of the other. The
        correlation across the branch of modes 3 to 6 fell below {ALARM:g} before the mode had half its
        strength in {sum(not np.isnan(one) for one in alarms)} of {len(alarms)} cases, in the median
        {_listed(real, "ahead", _TOLD, "{:,.0f}")} steps before. It never did for any branch in
        {sum(one > ALARM for one in controls)} of {len(controls)} control runs. Plain curves do not rise in
        that time: over the four modes, the largest change of spectral heat capacity or of the variance of
        the mean loss from the alarm to the middle of the mode was a fall in
        {sum(one < 0 for one in plain)} of {len(plain)} cases. The less is left to learn, the less
        fluctuates: neither curve says that anything is to come. Modes 1 and 2
        rise while the mode before them still does, and were told of in
        {sum(not np.isnan(one) for one in early)} of {len(early)} cases.""",
        f"""**Gaussian against dynamical.** Trained on all items at once, without noise, nothing fluctuates. A
        centred window sees the sides of a branch fall together (correlation
        {_listed(quiet, "centred_meanwhile")}), where small displacements of the same checkpoint move them
        against each other ({_listed(quiet, "gaussian_opposition")}). The Gaussian 2RDM sees which losses can
        be moved together and which against each other, whether or not anything moves; only the dynamical one
        sees what moves, and which way. With noise both agree on who opposes whom. From the end of the first
        rise to the end of training the participation ratio of the Gaussian 2RDM grows
        {_listed(real, "gaussian_participation_gain")}-fold: the shared residual goes, the noise of each
        datapoint is left.""",
        f"""**Where it fails.** Modes 6 and 7 are hardly stronger than the noise on the targets: groups at
        their onset agree with the items to {_listed(real, "items", (6, 7))}. The alarm has to be told which
        items a branch parts, or must look at all pairs of groups, and does not say *when* the mode will rise.
        It lives on noise: without any, only displacements show it.""",
    ]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def _listed(
    runs: Mapping[int, Mapping[str, float]], name: str, modes: Iterable[int] = (), form: str = "{:.2f}"
) -> str:
    """Medians over seeds of a figure, or of one per mode, in words."""
    medians = []
    for figure in [f"{name}_{mode}" for mode in modes] or [name]:
        values = [one[figure] for one in runs.values() if not np.isnan(one[figure])]
        medians.append(form.format(np.median(values)).replace("-", "−") if values else "none")
    return ", ".join(medians)


def _claims() -> Sequence[Claim]:
    onset = "adjusted Rand index of eight groups against the items as mode {} begins to rise"
    return [
        Claim(
            "half_time_error", "half-times of modes 0 to 5 off the closed form, random start", at_most=0.06
        ),
        Claim(
            "half_time_error_all",
            "half-times of all modes, aligned start, no noise",
            at_most=0.005,
            every_seed=True,
            variant="closed_form",
        ),
        *(
            Claim(
                f"cosine_{mode}",
                f"cosine of the leading eigenvector with the squared mode {mode} at its rise",
                at_least=0.95,
            )
            for mode in range(3)
        ),
        Claim(
            "modes_at_which_groups_are_items",
            "modes at whose onset eight groups are the eight items (adjusted Rand index 1.00)",
            at_least=2,
            every_seed=True,
        ),
        Claim(
            "modes_at_which_groups_are_items",
            "the same, aligned start",
            at_least=2,
            every_seed=True,
            variant="aligned",
        ),
        *(Claim(f"items_{mode}", onset.format(mode)) for mode in _MODES),
        *(
            Claim(
                f"moving_{mode}",
                f"adjusted Rand index of two groups against the items that mode {mode} tells apart",
            )
            for mode in range(2, 6)
        ),
        *(
            Claim(
                f"ahead_{mode}",
                f"steps from the alarm for mode {mode} to its middle",
                at_least=1,
                every_seed=True,
            )
            for mode in _TOLD
        ),
        Claim("opposition", "lowest correlation across a branch, all along", at_most=ALARM, every_seed=True),
        *(
            Claim("opposition", "the same", at_least=ALARM, every_seed=True, variant=control)
            for control in linear_network.CONTROLS
        ),
        Claim(
            "items_at_the_end",
            "adjusted Rand index of eight groups against the items, at the end",
            at_most=0.3,
        ),
        *(
            Claim("items_at_the_end", "the same", at_most=0.3, variant=control)
            for control in linear_network.CONTROLS
        ),
        Claim(
            "capacity_above_settled",
            "decades of spectral heat capacity above its settled level, once mode 0 is learned",
        ),
        *(
            Claim("capacity_above_settled", "the same", at_most=1, every_seed=True, variant=control)
            for control in linear_network.CONTROLS
        ),
        Claim(
            "gaussian_opposition",
            "lowest correlation across a branch under displacements, no noise in training",
            at_most=ALARM,
            every_seed=True,
            variant="no_noise",
        ),
        *(
            Claim("gaussian_opposition", "the same", at_least=ALARM, every_seed=True, variant=control)
            for control in linear_network.CONTROLS
        ),
        Claim(
            "centred_meanwhile",
            "correlation across that branch in the centred window of training",
            at_least=0.5,
            variant="no_noise",
        ),
    ]


SETTING = Setting(
    study=linear_network,
    title="Deep linear network",
    question=(
        "Eight items on a tree are learned mode by mode, at times known in closed form. Does the 2RDM show "
        "which items a mode tells apart, and does it before the mode rises?"
    ),
    measure=measure,
    claims=_claims(),
    findings=_findings,
    options={"snapshots": _SNAPSHOTS},
    more={
        "aligned": {"start": "aligned"},
        "no_noise": {"batch_size": None},
        "closed_form": {
            "start": "aligned",
            "batch_size": None,
            "noise": 0.0,
            "every": 1,
            "steps": 2500,
            "snapshots": None,
        },
    },
)
