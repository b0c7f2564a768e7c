"""Simulation-based calibration: is the truth one more draw from what a fit says is the posterior?

    python -m benchmarks.calibration [--simulations 300] [--method nuts laplace] [--workers 2]
                                       [--only NAME] [--seconds 600] [--report]

Parameters are drawn from a prior that is fixed in the data's units, data from them, and
``bayesgmm.fit`` fits those under the same prior.  Then the truth is exchangeable with the draws,
so that its rank among them is uniform, whatever the quantity (Talts and others 2018), also of
those that depend on the data, such as the log-likelihood (Modrak and others 2023).

What is exercised: all of ``fit`` as it is called, from ``Observations`` to relabelled draws,
with its own choice between NUTS, jumps and tempering; prior draws and their way into the data's
units; the likelihood with rounding, holes and errors.  Each data set has its own centre and
scale, so that standardising and priors in the data's units are on trial as well.  What is not:
priors on the standardised scale as such.  Those are no prior in the sense of a simulation, for
they look at the data's centre and scale; one configuration gives on that scale, for every data
set anew, the numbers that stand for the same prior in the data's units.  And data are rounded
as a ruler does it, while the model adds r^2 / 12 to a variance, so that the rounded
configurations are on trial for this approximation as well.

What is looked at depends on no labels.  Draws are thinned to 31 where the effective number of
every quantity is twice that; a chain that has fewer is made longer.  A simulation that
``Observations`` or ``fit`` refuse for its data is left out: what is decided by data leaves the
rest calibrated.  Bands are simultaneous over all places of one quantity (Sailynoja, Buerkner and
Vehtari 2022), from ArviZ.  Of many quantities one in twenty is outside its 95 % band by chance:
the p of a configuration is that of its farthest quantity times their number.

Each simulation has its seed, and a finished one is a line in ``benchmarks/calibrated``: the same
call goes on from there, on another machine as well, and who doubts the page can count again.
A change of what fits do makes those lines old: remove them.  ``--report`` writes what is there
into docs/calibration.md and its picture.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from arviz_stats.ecdf_utils import compute_ecdf, ecdf_pit
from scipy.special import bdtr, bdtrc

import bayesgmm as bg
from bayesgmm.density.prior_draws import prior_draws
from bayesgmm.inference.convergence import r_hat_and_ess, smallest
from bayesgmm.options import generator
from benchmarks import simulations

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "calibrated"
PAGE = ROOT / "docs" / "calibration.md"
PICTURE = ROOT / "docs" / "images" / "calibration.png"

#: Draws that the truth is ranked among, and effective ones before they are thinned to that.
DRAWS, EFFECTIVE = 31, 62
#: How many times chains may be made three times as long.
LONGER = 2
#: Simulations fewer than which say nothing yet.
FEW = 3
#: Those from which a line is drawn: with fewer it leaves any band but its own.
DRAWN_FROM = 40
#: Data sets of uniform numbers that say what is chance.
CHANCE = 10_000
#: Rows from which draws of the prior get their units: any but the simulated data's.
ELSEWHERE = np.array([[7.0, -9.0, 0.3], [-11.0, 8.0, 0.4], [2.0, 3.0, 0.9], [30.0, 0.1, -0.2]])


def priors(**other: Any) -> bg.Priors:
    """In the data's units; defaults but for a centre that is not zero."""
    return bg.Priors(mean_location=4.0, units="data", **other)


@dataclass(frozen=True)
class Configuration:
    """A model, and how its data are seen."""

    name: str
    covariance: str
    k: int
    n: int = 20
    d: int = 2
    resolution: float = 0.0  # to which values are rounded
    holes: float = 0.0  # share of values that are missing
    errors: float = 0.0  # median standard deviation of errors, each value's its own
    priors: bg.Priors = field(default_factory=priors)
    standardised: bool = False  # whether the same prior is given on the data's standardised scale

    def spec(self, observations: bg.Observations | None = None) -> bg.MixtureSpec:
        """The model; with observations, of a standardised one, as it is given for them."""
        own = self.priors
        if observations is not None and self.standardised:
            scaling = observations.scaling(self.covariance)
            (unit,) = set(scaling.unit.tolist())  # a scale prior is one for all features
            own = replace(
                own,
                mean_location=tuple(scaling.there(np.full(self.d, own.mean_location)).tolist()),
                mean_scale=own.mean_scale / unit,
                scales=own.scales.rescaled(unit),
                units="standardised",
            )
        return bg.MixtureSpec(self.k, self.covariance, own)

    def truth(self, rng: np.random.Generator) -> bg.MixtureParameters:
        """A draw of the prior."""
        elsewhere = bg.Observations(ELSEWHERE[:, : self.d], resolution=0)
        density = bg.LogPosterior(self.spec(), elsewhere)
        return density.constrain(prior_draws(density, 1, rng))[0]

    def data(
        self, truth: bg.MixtureParameters, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows as they are seen, and the standard deviations of their errors."""
        x, _ = truth.simulate(self.n, seed=rng)
        errors = self.errors * np.exp(0.5 * rng.standard_normal(x.shape))
        x = x + errors * rng.standard_normal(x.shape)
        if self.resolution:
            x = np.round(x / self.resolution) * self.resolution
        x[rng.random(x.shape) < self.holes] = np.nan
        return x, errors

    def observations(self, x: np.ndarray, errors: np.ndarray) -> bg.Observations:
        """Of the rows what this configuration knows of them."""
        return bg.Observations(
            x,
            resolution=self.resolution,
            missing="marginal" if self.holes else None,
            errors=errors if self.errors else None,
        )


def _sixteen() -> Iterator[Configuration]:
    """Each structure seen in each way, and K by a Latin square: all pairs of the three."""
    ways: dict[str, dict[str, Any]] = {
        "holes": {"holes": 0.2},
        "errors": {"errors": 0.4},
        "plain": {},
        "rounded": {"resolution": 0.2},
    }
    for i, covariance in enumerate(("full", "tied", "diag", "spherical")):
        for j, (way, options) in enumerate(ways.items()):
            k = (1, 2, 3, 2)[(i + j) % 4]
            name = f"{covariance}-{k}-{way}"
            if k == 3:  # means farther apart, so that the search meets fewer modes
                options = {**options, "priors": priors(mean_scale=6.0)}
            if way == "errors" and k == 3:  # which each row's own covariance makes dear
                options["d"] = 1
            yield Configuration(name, covariance, k, n=(12, 16, 30)[k - 1], **options)


#: All pairs of structure, K and way, and what is beside them: everything at once, three
#: features, one, other families of priors, a prior given on the standardised scale.
CONFIGURATIONS = (
    *_sixteen(),
    Configuration(
        "full-2-everything",
        "full",
        2,
        n=16,
        resolution=0.2,
        holes=0.1,
        errors=0.3,
        priors=priors(mean_scale=6.0),
    ),
    Configuration("tied-2-three-features", "tied", 2, d=3),
    Configuration(
        "full-1-uniform-correlations", "full", 1, d=3, priors=priors(correlations="uniform")
    ),
    Configuration("diag-2-inverse-gamma", "diag", 2, priors=priors(scales=bg.InverseGamma())),
    Configuration("spherical-3-standardised", "spherical", 3, n=20, standardised=True),
    Configuration("diag-2-one-feature", "diag", 2, d=1),
)
METHODS = {
    "nuts": bg.NUTS(draws=250, tune=250, chains=2),
    "laplace": bg.Laplace(draws=250),
}


def quantities(
    parameters: bg.MixtureParameters, density: bg.LogPosterior, priors_centre: float
) -> dict[str, np.ndarray]:
    """What no relabelling changes, by name, of a batch of mixtures."""
    k, d, observations = parameters.n_components, parameters.n_features, density.observations
    covariances = parameters.covariances
    found = {
        "joint log density": density.values(density.unconstrain(parameters)),
        "log-likelihood": parameters.log_density(observations, cores=1).sum(axis=-1),
    }
    for name, at in (("centre", 0.0), ("centre + 2", 2.0)):
        point = np.full((1, d), priors_centre + at)
        found[f"log density at the {name}"] = parameters.log_density(point, cores=1)[..., 0]
    if k > 1:
        found["largest weight"] = parameters.weights.max(axis=-1)
    if k > 2:
        found["smallest weight"] = parameters.weights.min(axis=-1)
    for i in range(d):
        means = parameters.means[..., i]
        found[f"smallest mean of x{i}"] = means.min(axis=-1)
        if k > 1:
            found[f"largest mean of x{i}"] = means.max(axis=-1)
    volumes = 0.5 * np.linalg.slogdet(covariances)[1]
    found["smallest log volume"] = volumes.min(axis=-1)
    if k > 1 and not density.spec.structure.shared:
        found["largest log volume"] = volumes.max(axis=-1)
    if d > 1 and density.spec.structure.matrices:
        scales = np.sqrt(covariances[..., 0, 0] * covariances[..., 1, 1])
        found["largest correlation of x0 and x1"] = (covariances[..., 0, 1] / scales).max(axis=-1)
    return found


@cache
def names(configuration: Configuration) -> list[str]:
    """Of the quantities that are looked at, in their order."""
    elsewhere = bg.Observations(ELSEWHERE[:, : configuration.d], resolution=0)
    density = bg.LogPosterior(configuration.spec(), elsewhere)
    drawn = density.constrain(prior_draws(density, 1, generator(0)))
    return list(quantities(drawn, density, 0.0))


def simulation(
    configuration: Configuration,
    number: int,
    method: str = "nuts",
    *,
    assumed: Configuration | None = None,
) -> dict[str, Any]:
    """One simulation: where the truth is among the draws of its posterior, from 0 to 1.

    ``assumed`` is the configuration under which data are fitted, where it is another: what
    is wrong on purpose.
    """
    began = time.perf_counter()
    assumed = assumed or configuration
    rng = generator(np.random.SeedSequence([zlib.crc32(configuration.name.encode()), number]))
    truth = configuration.truth(rng)
    x, errors = configuration.data(truth, rng)
    found: dict[str, Any] = {"number": number}
    chosen = METHODS[method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.FitWarning)  # of which what is left is counted
        try:
            observations = assumed.observations(x, errors)
            density = bg.LogPosterior(assumed.spec(observations), observations)
            for longer in range(LONGER + 1):
                chosen = replace(METHODS[method], draws=METHODS[method].draws * 3**longer)
                fit = bg.fit(density.spec, observations, method=chosen, seed=number, cores=1)
                centre = float(configuration.priors.mean_location)
                drawn = quantities(fit.parameters, density, centre)
                if method == "laplace":
                    break
                ess = smallest(r_hat_and_ess(np.stack(list(drawn.values()), axis=-1))[1])
                found["ess"] = round(ess, 1)
                if ess >= EFFECTIVE:
                    break
        except bg.DataError as refused:
            return found | {"refused": str(refused)}
    true = quantities(_as_recorded(truth, density)[None], density, centre)
    pit = {}
    for name, values in drawn.items():
        flat = values.reshape(-1)
        flat = flat[np.linspace(0, len(flat), DRAWS, endpoint=False).astype(int)]
        lower, upper = (flat < true[name][0]).sum(), (flat <= true[name][0]).sum()
        pit[name] = round(float((lower + (upper - lower + 1) * rng.random()) / (DRAWS + 1)), 4)
    status = str(fit.status)
    return found | {"status": status, "pit": pit, "seconds": round(time.perf_counter() - began, 2)}


def _as_recorded(truth: bg.MixtureParameters, density: bg.LogPosterior) -> bg.MixtureParameters:
    """With the variance of recording, as the parameters of a fit have it."""
    recorded = density.prior.recorded * density.scale**2
    return bg.MixtureParameters.from_covariances(
        truth.weights, truth.means, truth.covariances + np.diag(recorded)
    )


# What the ranks say -------------------------------------------------------------------


def ranks(done: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The ranks of each quantity, from 0 to 1, over the simulations that were fitted."""
    fitted = [each["pit"] for each in done if "pit" in each]
    return {name: np.array([pit[name] for pit in fitted]) for name in (fitted or [{}])[0]}


def tails(pit: np.ndarray) -> np.ndarray:
    """The least probability that as few, or as many, ranks are below a place (..., N): the
    statistic of the simultaneous bands, and small where ranks are not uniform."""
    n = pit.shape[-1]
    at = np.arange(1, n) / n
    counts = (np.sort(pit, axis=-1)[..., None] <= at).sum(axis=-2)
    few, many = bdtr(counts, n, at), np.where(counts > 0, bdtrc(counts - 1.0, n, at), 1.0)
    return np.asarray(np.minimum(few, many).min(axis=-1))


@cache
def _by_chance(n: int) -> np.ndarray:
    """The statistic of uniform ranks, in order."""
    rng = np.random.default_rng(1)
    return np.sort([tails(rng.random(n)) for _ in range(CHANCE)])


def p_value(pit: np.ndarray) -> float:
    """How often uniform ranks are as far from uniform; never below one in ``CHANCE``."""
    below = np.searchsorted(_by_chance(len(pit)), tails(pit) * (1 + 1e-9))
    return float((below + 1) / (CHANCE + 1))


def false_alarm(found: dict[str, np.ndarray]) -> float:
    """A bound of the probability that some quantity's ranks are as far from uniform as the
    farthest here, if all are calibrated: the sum over quantities, places and both sides."""
    return min(1.0, sum(2.0 * (len(pit) - 1) for pit in found.values()) * least_tail(found))


def least_tail(found: dict[str, np.ndarray]) -> float:
    """The statistic of the quantity that is farthest from uniform."""
    return min(float(tails(pit)) for pit in found.values())


@cache
def band(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, and the lower and upper 95 % band of the ECDF of ``n`` ranks, by ArviZ."""
    rng = np.random.default_rng(1)
    at, _, lower, upper = ecdf_pit(rng.random(n), 0.95, CHANCE, rng=rng)
    return at, lower, upper


def beyond(pit: np.ndarray) -> float:
    """How far the ECDF is beyond its 95 % band; below zero, how near it comes from within."""
    at, lower, upper = band(len(pit))
    ecdf = compute_ecdf(pit, at)
    above = (ecdf - upper)[upper < 1.0]  # elsewhere there is no band to be beyond
    below = (lower - ecdf)[lower > 0.0]
    above, below = above[1:], below[:-1]  # at 0 and 1 all meet
    return float(np.max([-1.0, *above, *below]))


# Simulations, kept as they are done ----------------------------------------------------


def kept_in(configuration: Configuration, method: str) -> Path:
    """The file of one configuration; another name for what is set up in another way."""
    mark = zlib.crc32(repr((configuration, METHODS[method], DRAWS, EFFECTIVE)).encode())
    return KEPT / f"{method}-{configuration.name}-{mark:08x}.jsonl"


def kept(configuration: Configuration, method: str) -> list[dict[str, Any]]:
    """What was simulated, in the order of its numbers."""
    done = simulations.kept_in(kept_in(configuration, method))
    for each in done:
        if "pit" in each:
            each["pit"] = dict(zip(names(configuration), each["pit"], strict=True))
    return done


def _keep(configuration: Configuration, method: str, found: dict[str, Any]) -> None:
    if "pit" in found:
        found = found | {"pit": [found["pit"][name] for name in names(configuration)]}
    simulations.keep(kept_in(configuration, method), found)


Task = tuple[Configuration, str, int]


def _one(task: Task) -> dict[str, Any]:
    configuration, method, number = task
    try:
        return simulation(configuration, number, method)
    except Exception as error:  # one that fails is counted, and does not stop the others
        return {"number": number, "failed": f"{type(error).__name__}: {error}"}


def simulate(
    configurations: list[Configuration], methods: list[str], n: int, workers: int, seconds: float
) -> None:
    """All that is not there yet, one of each configuration at a time, up to a time limit."""
    KEPT.mkdir(parents=True, exist_ok=True)
    tasks = []
    for method in methods:
        for each in configurations:
            there = {one["number"] for one in kept(each, method)}
            tasks.append([(each, method, i) for i in range(n) if i not in there])
    simulations.carry_out(
        _one,
        tasks,
        lambda task, found: _keep(*task[:2], found),
        lambda task: f"{task[1]} {task[0].name} {task[2]}",
        workers=workers,
        seconds=seconds,
    )


# The page ------------------------------------------------------------------------------


def table(method: str) -> list[str]:
    """Rows of a Markdown table, and a sentence on all of them."""
    lines = [
        "| configuration | simulations | quantities | outside their 95 % band | farthest | "
        "beyond its band by | p | median seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    outside = total = 0
    ps = []
    for configuration in CONFIGURATIONS:
        done = kept(configuration, method)
        found = ranks(done)
        if sum("pit" in each for each in done) < FEW:
            continue
        over = {name: beyond(pit) for name, pit in found.items()}
        farthest = min(found, key=lambda name: float(tails(found[name])))
        p = min(1.0, len(found) * p_value(found[farthest]))
        n_out = sum(value > 1e-12 for value in over.values())
        outside, total = outside + n_out, total + len(found)
        ps.append(p)
        n, seconds = (
            len(found[farthest]),
            np.median([each["seconds"] for each in done if "pit" in each]),
        )
        lines.append(
            f"| {configuration.name} | {n} | {len(found)} | {n_out} | {farthest} | "
            f"{over[farthest]:+.3f} | {p:.2g} | {seconds:.1f} |"
        )
    if total:
        least = min(1.0, min(ps) * len(ps))
        lines += [
            "",
            f"{outside} of {total} quantities are outside their band ({outside / total:.1%}; by "
            f"chance 5 %). The least p times the number of configurations is {least:.2g}.",
        ]
    return lines + notes(method)


def notes(method: str) -> list[str]:
    """What was left out, failed, or did not end well."""
    done = [each for one in CONFIGURATIONS for each in kept(one, method)]
    fitted = [each for each in done if "pit" in each]
    if not fitted:
        return []
    refused, failed = (sum(what in each for each in done) for what in ("refused", "failed"))
    told: dict[str, int] = {}
    for each in fitted:
        told[each["status"]] = told.get(each["status"], 0) + 1
    statuses = ", ".join(f"{status} {n:,}" for status, n in sorted(told.items()))
    text = f"Statuses: {statuses}. Refused for their data: {refused}. Failed: {failed}."
    few = sum(each.get("ess", np.inf) < EFFECTIVE for each in fitted)
    if method != "laplace":
        text += f" Fewer than {EFFECTIVE} effective draws after all: {few}."
    return ["", text]


def picture() -> Any:
    """ECDFs of ranks less the diagonal, one panel for each configuration, with their bands."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from bayesgmm.interface.plots.palette import PALETTE

    columns = 4
    rows = -(-len(CONFIGURATIONS) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(12, 1.9 * rows), sharex=True, sharey=True, layout="constrained"
    )
    for ax in axes.flat[len(CONFIGURATIONS) :]:
        ax.axis("off")
    drawn = set()
    for ax, configuration in zip(axes.flat, CONFIGURATIONS, strict=False):
        ax.set_title(configuration.name, fontsize=9)
        for method, colour, order in (("laplace", PALETTE[1], 2), ("nuts", PALETTE[0], 3)):
            found = ranks(kept(configuration, method))
            for i, pit in enumerate(found.values()):
                if len(pit) < DRAWN_FROM:
                    continue
                drawn.add(method)
                at, lower, upper = band(len(pit))
                if method == "nuts" and i == 0:
                    ax.fill_between(at, lower - at, upper - at, color="0.88", lw=0, zorder=1)
                gap = compute_ecdf(pit, at) - at
                ax.plot(at, gap, color=colour, lw=0.8, alpha=0.8, zorder=order)
    for method, name, colour in (("nuts", "NUTS", PALETTE[0]), ("laplace", "Laplace", PALETTE[1])):
        if method in drawn:
            axes.flat[0].plot([], [], color=colour, label=name)
    axes.flat[0].legend(fontsize=8, loc="upper right", frameon=False, ncols=2)
    figure.supxlabel("rank of the truth among the draws, from 0 to 1", fontsize=10)
    figure.supylabel("share of ranks below, less what is uniform", fontsize=10)
    return figure


def report() -> None:
    """Write tables between the marks of the page, and the picture."""
    tables = {method: table(method) for method in METHODS}
    simulations.write_tables(PAGE, "benchmarks/calibration.py", tables)
    picture().savefig(PICTURE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=300, help="of each configuration")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--only", default="", help="configurations with this in their names")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin nothing after that")
    parser.add_argument("--report", action="store_true", help="write docs/calibration.md")
    given = parser.parse_args()
    chosen = [each for each in CONFIGURATIONS if given.only in each.name]
    simulate(chosen, given.method, given.simulations, given.workers, given.seconds)
    for method in given.method:
        print(method, *table(method), sep="\n")
    if given.report:
        report()


if __name__ == "__main__":
    main()
