"""Are the true parameters found again?  Designs of a published comparison of R packages.

    python -m benchmarks.recovery [--data-sets 200] [--workers 2] [--only U9] [--seconds 600]
                                    [--kept benchmarks/recovered] [--report]

Data sets are drawn from mixtures that are known: nine univariate and twenty bivariate ones of
Chassagnol and others (2023), and four in ten dimensions whose overlap has a closed form.  Each
data set is fitted with the true K by ``bayesgmm.fit`` (EM, MAP, NUTS) and by scikit-learn's
``GaussianMixture`` (one start, which is its default, and ten), all with their defaults; by EM
from where scikit-learn's ten starts end, to tell what stopping there does; and by MAP once more
with a prior of scales that is surer, to tell what is the prior's doing.
What is reported: mean squared errors and biases of weights, means, standard deviations and
correlations, failures, and how often the 89 % intervals of the draws hold the truth.

A fit has **failed**, whosever it is, if it raised, if an estimate is not finite, if it says
that it did not converge, or if a component collapsed: fewer than two rows' weight, or a standard
deviation below a hundredth of the true one.  Estimates of a failed fit count in errors all the
same, where they are finite.

Components have no order, so those of an estimate are assigned to the true ones by the least sum
of squared distances of means (in one dimension: in the order of means).  It is done alike for
all.  Draws keep the labels that the fit gave them; the posterior mean of these is assigned, and
the intervals with it.

Means and standard deviations are in units of the true standard deviation, so that squared errors
of all parameters can be added.

Each data set has its seed, and a finished one is a line in ``benchmarks/recovered``: the same call
goes on from there, on another machine as well.  A change of what fits do makes those lines old:
remove them.  ``--report`` writes what is there into docs/recovery.md; with ``--data-sets 0`` it
does that alone.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm.options import generator
from benchmarks import simulations
from benchmarks.best_of_thirty import as_ours

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "recovered"
PAGE = ROOT / "docs" / "recovery.md"
Array = np.ndarray[Any, np.dtype[np.float64]]

MASS = 0.89
#: Beside the default prior one whose scales are surer, as a user might choose it: sigma 0.5, not 1.
TIGHTER = bg.Priors(scales=bg.LogNormal(median=0.5, sigma=0.5))
DRAWS = bg.NUTS(draws=250, tune=250, chains=2)
GROUPS = ("weights", "means", "sds", "correlations")
#: By what they are named in tables, in their order.
FITTERS = {
    "sklearn-10": "scikit-learn, 10 starts",
    "sklearn-1": "scikit-learn, 1 start",
    "em": "EM",
    "map": "MAP",
    "nuts": "posterior mean",
    "em-onwards": "EM from scikit-learn's end",
    "map-tighter": "MAP, tighter scales",
}
#: What the others' errors are divided by, and those of which one has to be as good.
PEER, OURS = "sklearn-10", ("map", "nuts")
#: A component has collapsed below so many rows, or so much of the true standard deviation.
FEWEST_ROWS, NARROWEST = 2.0, 0.01
#: A log-likelihood that is no difference; scikit-learn stops when a row gains less than 0.001.
ALIKE = 0.5
#: Data sets fewer than which say nothing yet.
FEW = 3


@dataclass(frozen=True)
class Design:
    """A mixture that is known, and how many rows are drawn from it."""

    name: str
    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    n: int
    covariance: str = "full"
    words: str = ""
    most: int = 200  # data sets at most, for fits that take long

    @property
    def truth(self) -> bg.MixtureParameters:
        return bg.MixtureParameters.from_covariances(self.weights, self.means, self.covariances)

    def data(self, number: int) -> Array:
        """The rows of one data set."""
        seed = np.random.SeedSequence([zlib.crc32(self.name.encode()), number])
        return self.truth.simulate(self.n, seed=generator(seed))[0]


def univariate() -> Iterator[Design]:
    """U1-U9: from apart to overlapping, in each from balanced to unbalanced."""
    shares = ((0.25, 0.25, 0.25, 0.25), (0.2, 0.4, 0.2, 0.2), (0.1, 0.7, 0.1, 0.1))
    for i, (sd, weights) in enumerate(product((0.3, 1.0, 2.0), shares)):
        means = ((0.0,), (4.0,), (8.0,), (12.0,))
        covariances = (((sd**2,),),) * 4
        words = f"sd {sd:g}, weights {', '.join(f'{w:g}' for w in weights)}"
        yield Design(f"U{i + 1}", weights, means, covariances, 200, words=words)


def bivariate() -> Iterator[Design]:
    """B1-B20: near and then far, in each balanced and then not, in each by correlations."""
    pairs = ((-0.8, -0.8), (-0.8, 0.8), (0.8, -0.8), (0.8, 0.8), (0.0, 0.0))
    for i, (far, first, pair) in enumerate(product((2.0, 20.0), (0.5, 0.9), pairs)):
        weights = (first, round(1 - first, 1))
        means = ((0.0, far), (far, 0.0))
        covariances = tuple(((1.0, r), (r, 1.0)) for r in pair)
        words = (
            f"means (0, {far:g}), ({far:g}, 0), weights {first:g}, {weights[1]:g}, "
            f"correlations {pair[0]:g}, {pair[1]:g}"
        )
        yield Design(f"B{i + 1}", weights, means, covariances, 500, words=words)


def ten_dimensional() -> Iterator[Design]:
    """T1-T4: two components of one covariance, whose overlap is 2 Phi(-distance / 2)."""
    d = 10
    one = 0.5 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    direction = np.ones(d) / np.sqrt(np.linalg.solve(one, np.ones(d)).sum())
    for i, (overlap, first) in enumerate(product((0.05, 0.2), (0.5, 0.8))):
        distance = -2 * norm.ppf(overlap / 2)
        means = ((0.0,) * d, tuple(np.round(distance * direction, 12).tolist()))
        covariances = (tuple(map(tuple, one.tolist())),) * 2
        words = f"overlap {overlap:g}, weights {first:g}, {1 - first:.1g}"
        yield Design(
            f"T{i + 1}", (first, round(1 - first, 1)), means, covariances, 500, "tied", words, 50
        )


DESIGNS = (*univariate(), *bivariate(), *ten_dimensional())


# Parameters as one row of numbers ------------------------------------------------------


def row(weights: Array, means: Array, covariances: Array, truth: bg.MixtureParameters) -> Array:
    """Parameters (...): weights, means and sds in units of the true sd, correlations."""
    sds = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))
    below = np.tril_indices(sds.shape[-1], -1)
    correlations = (covariances / (sds[..., :, None] * sds[..., None, :]))[..., *below]
    parts = (means / truth.scales, sds / truth.scales, correlations)
    flat = (each.reshape(*weights.shape[:-1], -1) for each in parts)
    return np.concatenate([weights, *flat], axis=-1)


def groups(design: Design) -> Array:
    """To which of ``GROUPS`` each number of a row belongs."""
    k, d = np.shape(design.means)
    return np.repeat(np.arange(4), (k, k * d, k * d, k * d * (d - 1) // 2))


def true_row(design: Design) -> Array:
    truth = design.truth
    return row(truth.weights, truth.means, truth.covariances, truth)


def assigned(means: Array, truth: bg.MixtureParameters) -> Array:
    """Which of the components is the first true one, the second, and so on."""
    apart = (truth.means[:, None] - means[None]) / truth.scales[:, None]
    return np.asarray(linear_sum_assignment((apart**2).sum(axis=-1))[1])


# One data set --------------------------------------------------------------------------


def by_sklearn(n_init: int) -> Callable[[Design, Array, int], dict[str, Any]]:
    def fitted(design: Design, x: Array, seed: int) -> dict[str, Any]:
        fit, mixture = sklearns(n_init, design, x, seed)
        truth = design.truth
        to = assigned(mixture.means, truth)
        found = mixture.weights[to], mixture.means[to], mixture.covariances[to]
        return {
            "status": "converged" if fit.converged_ else "iteration limit",
            "ended": bool(fit.converged_),
            "log likelihood": float(fit.score_samples(x).sum()),
            "estimate": row(*found, truth),
        }

    return fitted


def sklearns(
    n_init: int, design: Design, x: Array, seed: int
) -> tuple[GaussianMixture, bg.MixtureParameters]:
    """scikit-learn's fit, and its mixture as ours."""
    k = len(design.weights)
    fit = GaussianMixture(
        k, covariance_type=design.covariance, n_init=n_init, random_state=seed
    ).fit(x)
    return fit, as_ours(fit, x.shape[1])


def by_bayesgmm(
    method: Any, priors: bg.Priors | None = None, *, onwards: bool = False
) -> Callable[[Design, Array, int], dict[str, Any]]:
    def fitted(design: Design, x: Array, seed: int) -> dict[str, Any]:
        spec = bg.MixtureSpec(len(design.weights), design.covariance, priors or bg.Priors())
        start = sklearns(10, design, x, seed)[1] if onwards else None
        fit = bg.fit(spec, x, method=method, seed=seed, start=start, cores=1)
        truth, drawn = design.truth, fit.parameters.flat()
        to = assigned(drawn.means.mean(axis=0), truth)
        rows = row(drawn.weights[:, to], drawn.means[:, to], drawn.covariances[:, to], truth)
        found = {
            "status": str(fit.status),
            "ended": fit.status.but_for_labels,
            "estimate": rows.mean(axis=0),
        }
        if len(rows) == 1:
            found["log likelihood"] = fit.log_likelihood
        else:
            lower, upper = np.quantile(rows, ((1 - MASS) / 2, (1 + MASS) / 2), axis=0)
            found["held"] = held_by(lower, upper, true_row(design))
        return found

    return fitted


def held_by(lower: Array, upper: Array, truth: Array) -> str:
    """A digit for each parameter: 1 where an interval holds the truth."""
    return "".join(map(str, ((lower <= truth) & (truth <= upper)).astype(int)))


HOW = {
    "sklearn-10": by_sklearn(10),
    "sklearn-1": by_sklearn(1),
    "em": by_bayesgmm("em"),
    "map": by_bayesgmm("map"),
    "nuts": by_bayesgmm(DRAWS),
    "em-onwards": by_bayesgmm("em", onwards=True),
    "map-tighter": by_bayesgmm("map", TIGHTER),
}


def data_set(design: Design, number: int) -> dict[str, Any]:
    """What every fitter makes of one data set."""
    x, found = design.data(number), {}
    for name, fitted in HOW.items():
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is in the status, and counted
            try:
                one = fitted(design, x, number)
            except Exception as error:  # counted, as all failures are
                one = {"error": f"{type(error).__name__}: {error}"}
        one["seconds"] = round(time.process_time() - began, 2)
        for key in ("estimate", "log likelihood"):
            if key in one:
                one[key] = np.round(one[key], 4).tolist()
        found[name] = one
    return {"number": number, "fits": found}


def failure(design: Design, fit: dict[str, Any]) -> str:
    """Why a fit has failed, in a word; empty if it has not."""
    if "error" in fit:
        return "raised"
    estimate, group = np.array(fit["estimate"]), groups(design)
    if not np.isfinite(estimate).all():
        return "not finite"
    fewest, narrowest = estimate[group == 0].min() * design.n, estimate[group == 2].min()
    if fewest < FEWEST_ROWS or narrowest < NARROWEST:
        return "collapsed"
    return "" if fit["ended"] else "not converged"


# Data sets, kept as they are done -------------------------------------------------------


def kept_in(folder: Path, design: Design) -> Path:
    """The file of one design; another name for what is set up in another way."""
    mark = zlib.crc32(repr((design, DRAWS, MASS, TIGHTER)).encode())
    return folder / f"{design.name}-{mark:08x}.jsonl"


def kept(folder: Path, design: Design) -> list[dict[str, Any]]:
    """What was fitted, in the order of its numbers."""
    return simulations.kept_in(kept_in(folder, design))


def keep(folder: Path, design: Design, found: dict[str, Any]) -> None:
    simulations.keep(kept_in(folder, design), found)


def _one(task: tuple[Design, int]) -> dict[str, Any]:
    return data_set(*task)


def simulate(designs: list[Design], n: int, workers: int, seconds: float, folder: Path) -> None:
    """All that is not there yet, one of each design at a time, up to a time limit."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = []
    for each in designs:
        there = {one["number"] for one in kept(folder, each)}
        tasks.append([(each, i) for i in range(min(n, each.most)) if i not in there])
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of the workers' scikit-learn
        os.environ.setdefault(threads, "1")
    simulations.carry_out(
        _one,
        tasks,
        lambda task, found: keep(folder, task[0], found),
        lambda task: f"{task[0].name} {task[1]}",
        workers=workers,
        seconds=seconds,
    )


# The page ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What is known of one design from the data sets that were fitted."""

    design: Design
    n: int
    errors: dict[str, Array]  # of each fitter, (data sets, parameters); nan where it raised
    failures: dict[str, dict[str, int]]
    statuses: dict[str, dict[str, int]]
    seconds: dict[str, float]
    likelihoods: dict[str, Array]  # log-likelihoods of point estimates; nan where it raised
    held: Array  # (data sets, parameters), whether an interval holds the truth

    @classmethod
    def read(cls, folder: Path, design: Design) -> Found:
        done, truth = kept(folder, design), true_row(design)
        errors, failures, statuses, seconds, likelihoods = {}, {}, {}, {}, {}
        for name in FITTERS:
            fits = [each["fits"][name] for each in done]
            raised = np.full(truth.shape, np.nan)
            estimates = np.array([fit.get("estimate", raised) for fit in fits], float)
            errors[name] = estimates.reshape(-1, len(truth)) - truth
            failures[name] = counted(failure(design, fit) for fit in fits)
            statuses[name] = counted(fit.get("status", "raised") for fit in fits)
            seconds[name] = float(np.median([fit["seconds"] for fit in fits] or [0.0]))
            likelihoods[name] = np.array([fit.get("log likelihood", np.nan) for fit in fits])
        drawn = [each["fits"]["nuts"] for each in done]
        held = np.array(
            [[int(one) for one in fit["held"]] for fit in drawn if "held" in fit], float
        )
        held = held.reshape(-1, len(truth))
        return cls(design, len(done), errors, failures, statuses, seconds, likelihoods, held)

    def of(self, group: int | None) -> Array:
        """Which parameters are of a group; without one, all."""
        own = groups(self.design)
        return own == group if group is not None else np.full(own.shape, True)

    def squared(self, name: str, group: int | None = None) -> Array:
        """Of each data set, the sum of squared errors of a group's parameters."""
        return np.asarray((self.errors[name][:, self.of(group)] ** 2).sum(axis=-1))

    def ratio(self, name: str, group: int | None = None) -> tuple[float, float]:
        """The mean squared error in that of ``PEER``, and its standard error, where both are."""
        ours, peers = self.squared(name, group), self.squared(PEER, group)
        both = np.isfinite(ours) & np.isfinite(peers)
        ours, peers = ours[both], peers[both]
        ratio = ours.mean() / peers.mean()
        off = (ours - ratio * peers).std(ddof=1) / peers.mean()  # the delta method
        return float(ratio), float(off / np.sqrt(len(ours)))

    def rmse(self, name: str, group: int) -> float:
        """Of one parameter of a group, on average."""
        return float(np.sqrt(np.nanmean(self.errors[name][:, self.of(group)] ** 2)))

    def bias(self, name: str, group: int) -> float:
        """The mean over a group's parameters of the absolute bias."""
        return float(np.abs(np.nanmean(self.errors[name][:, self.of(group)], axis=0)).mean())

    def likelier(self, name: str) -> tuple[float, float]:
        """Shares of data sets in which a fit's log-likelihood is above that of ``PEER`` by
        more than ``ALIKE``, and in which it is below by more."""
        gain = self.likelihoods[name] - self.likelihoods[PEER]
        return float((gain > ALIKE).mean()), float((gain < -ALIKE).mean())

    def coverage(self, group: int | None = None) -> tuple[float, float]:
        """The share of intervals that hold the truth, and its standard error: parameters of
        one data set hang together, data sets do not."""
        shares = self.held[:, self.of(group)].mean(axis=-1)
        return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))


def counted(words: Iterator[str]) -> dict[str, int]:
    """How often each word is there, empty ones left out."""
    found: dict[str, int] = {}
    for word in words:
        if word:
            found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))


def _header(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def table_of_designs(all_found: list[Found]) -> list[str]:
    lines = _header("design", "mixture", "rows", "data sets")
    for found in all_found:
        one = found.design
        lines.append(f"| {one.name} | {one.words} | {one.n} | {found.n} |")
    return lines


def table_of_errors(all_found: list[Found]) -> list[str]:
    """Squared errors of all parameters in those of the peer."""
    others = [name for name in FITTERS if name != PEER]
    lines = _header("design", *(FITTERS[name] for name in others), "at most 1")
    for found in all_found:
        cells = [f"{r:.2f} ± {off:.2f}" for r, off in map(found.ratio, others)]
        best = min(found.ratio(name)[0] for name in OURS)
        lines.append(f"| {found.design.name} | {' | '.join(cells)} | {_yes(best <= 1)} |")
    return lines


def table_of_groups(all_found: list[Found], what: str) -> list[str]:
    """``rmse`` or ``bias`` of each group of parameters, of each fitter."""
    lines = [", ".join(FITTERS.values()) + ":", "", *_header("design", *GROUPS)]
    for found in all_found:
        cells = []
        for group in range(len(GROUPS)):
            some = found.of(group).any()
            values = [getattr(found, what)(name, group) for name in FITTERS] if some else []
            cells.append(", ".join(f"{value:.3f}" for value in values))
        lines.append(f"| {found.design.name} | {' | '.join(cells)} |")
    return lines


def table_of_failures(all_found: list[Found]) -> list[str]:
    """Failures of each fitter by their reasons, and fits whose labels are in doubt."""
    lines = _header("design", *FITTERS.values(), "labels in doubt")
    for found in all_found:
        cells = [
            ", ".join(f"{why} {n}" for why, n in found.failures[name].items()) or "0"
            for name in FITTERS
        ]
        doubt = found.statuses["nuts"].get(str(bg.Status.AMBIGUOUS_LABELS), 0)
        lines.append(f"| {found.design.name} | {' | '.join(cells)} | {doubt} |")
    return lines


def table_of_likelihoods(all_found: list[Found]) -> list[str]:
    """In how many of a hundred data sets EM's likelihood is above and below the peer's, and the
    squared error is larger."""
    lines = _header("design", "EM's likelihood higher", "lower", "EM farther from the truth")
    for found in all_found:
        higher, lower = (f"{100 * share:.0f}" for share in found.likelier("em"))
        farther = (found.squared("em") > 1.01 * found.squared(PEER)).mean()
        lines.append(f"| {found.design.name} | {higher} | {lower} | {100 * farther:.0f} |")
    return lines


def table_of_coverage(all_found: list[Found]) -> list[str]:
    """How many of a hundred intervals hold the truth."""
    lines = _header("design", "all", *GROUPS, "86 to 92")
    for found in all_found:
        every = [found.coverage(g) for g in (None, *range(4)) if g is None or found.of(g).any()]
        cells = [f"{100 * share:.1f} ± {100 * off:.1f}" for share, off in every]
        cells += [""] * (1 + len(GROUPS) - len(cells))
        inside = 0.86 <= every[0][0] <= 0.92
        lines.append(f"| {found.design.name} | {' | '.join(cells)} | {_yes(inside)} |")
    return lines


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def sentences(all_found: list[Found]) -> list[str]:
    """What was to be reached in the published designs, and what was."""
    published = [found for found in all_found if found.design.name[0] in "UB"]
    if not published:
        return [f"Fewer than {FEW} data sets of every design are there yet."]
    n = len(published)
    sets = [found.n for found in published]
    as_good = sum(min(found.ratio(name)[0] for name in OURS) <= 1 for found in published)
    each = {name: sum(f.ratio(name)[0] <= 1 for f in published) for name in ("em", *OURS)}
    worse = [
        found.design.name
        for found in published
        if all(found.ratio(name)[0] - 2 * found.ratio(name)[1] > 1 for name in OURS)
    ]
    held = [found.coverage() for found in published]
    inside = sum(0.86 <= share <= 0.92 for share, _ in held)
    off = [
        found.design.name
        for found, (share, error) in zip(published, held, strict=True)
        if share - 2 * error > 0.92 or share + 2 * error < 0.86
    ]
    total = {name: sum(sum(f.failures[name].values()) for f in published) for name in FITTERS}
    fits = sum(sets)
    failed = ", ".join(f"{title} {total[name]:,}" for name, title in FITTERS.items())
    doubt = sum(f.statuses["nuts"].get(str(bg.Status.AMBIGUOUS_LABELS), 0) for f in published)
    many = str(max(sets)) if min(sets) == max(sets) else f"{min(sets)} to {max(sets)}"
    return [
        f"* Published designs: {n}, of {many} data sets each; {fits:,} in all.",
        f"* Failures among {fits:,} fits of each: {failed}. Labels in doubt: {doubt:,}.",
        f"* Squared error at most that of {FITTERS[PEER]}: MAP or posterior mean in {as_good} of "
        f"{n} designs (EM {each['em']}, MAP {each['map']}, posterior mean {each['nuts']}). Larger "
        f"for both by more than two standard errors: {', '.join(worse) or 'none'}.",
        f"* Coverage of the {MASS:.0%} intervals over all parameters from 86 to 92 %: {inside} of "
        f"{n} designs. Outside by more than two standard errors: {', '.join(off) or 'none'}.",
    ]


def table_of_seconds(all_found: list[Found]) -> list[str]:
    """CPU time of one fit, the median."""
    lines = _header("designs", *FITTERS.values())
    for family in dict.fromkeys(found.design.name[0] for found in all_found):
        own = [found for found in all_found if found.design.name[0] == family]
        cells = [f"{np.mean([f.seconds[name] for f in own]):.2f}" for name in FITTERS]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return lines


TABLES: dict[str, Callable[[list[Found]], list[str]]] = {
    "summary": sentences,
    "designs": table_of_designs,
    "errors": table_of_errors,
    "likelihoods": table_of_likelihoods,
    "failures": table_of_failures,
    "coverage": table_of_coverage,
    "rmse": lambda found: table_of_groups(found, "rmse"),
    "bias": lambda found: table_of_groups(found, "bias"),
    "seconds": table_of_seconds,
}


def report(all_found: list[Found]) -> None:
    """Write tables between the marks of the page."""
    tables = {name: table(all_found) for name, table in TABLES.items()}
    simulations.write_tables(PAGE, "benchmarks/recovery.py", tables)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-sets", type=int, default=200, help="of each design, at most")
    parser.add_argument("--only", default="", help="designs with this in their names")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin nothing after that")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where what is done is kept")
    parser.add_argument("--report", action="store_true", help="write docs/recovery.md")
    given = parser.parse_args()
    chosen = [each for each in DESIGNS if given.only in each.name]
    simulate(chosen, given.data_sets, given.workers, given.seconds, given.kept)
    shown = DESIGNS if given.report else chosen  # the page has all that is there
    all_found = [Found.read(given.kept, each) for each in shown]
    all_found = [found for found in all_found if found.n >= FEW]
    for name, table in TABLES.items() if all_found else ():
        print(name, *table(all_found), sep="\n", end="\n\n")
    if given.report:
        report(all_found)


if __name__ == "__main__":
    main()
