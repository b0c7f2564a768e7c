"""The same data written otherwise: a fit says the same of them, or what follows from how."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.methods import EM, Chains
from bayesgmm.testing.expectations import (
    Broken,
    Skipped,
    close,
    holds,
    identical,
    same_fit,
)
from bayesgmm.testing.subject import LIKELIHOODS, Affine, Said, Subject, has_ridge, require_ok

Array = NDArray[np.float64]


def _plain_rows(subject: Subject) -> None:
    views = subject.rows.views
    parts = (views.errors, views.labels, views.allowed, views.background, views.selection)
    if subject.rows.stored is not None or any(part is not None for part in parts):
        raise Skipped("These rows are more than values and weights.")


def same_seed(subject: Subject) -> None:
    """The same seed gives the same fit, to the last bit."""
    try:  # where threads change nothing either, one fit shows both
        same_fit("the same again", subject.on_two, subject.fit)
    except Broken:
        same_fit("the same again", subject.fitted(), subject.fit)


def other_seed(subject: Subject) -> str:
    """Another seed gives other draws of the same distribution, or the same point."""
    other = Said(subject.fitted(start=subject.start, seed=subject.seed + 1),
                 subject.rows, subject.plain.written)  # fmt: skip
    if subject.draws:
        moved = other.fit.parameters.means != subject.plain.fit.parameters.means
        holds(moved.any(), "the same draws.")
        require_ok(subject, other.fit)
        require_ok(subject, subject.plain.fit)
    return subject.same(subject.plain, other, exact=False)


def threads(subject: Subject) -> None:
    """Two threads give the numbers of one, to the last bit."""
    other = subject.on_two
    for name in ("weights", "means", "covariances"):
        identical(name, getattr(other.parameters, name), getattr(subject.fit.parameters, name))
    identical("lp", other.statistics["lp"].values, subject.fit.statistics["lp"].values)


def order_of_rows(subject: Subject) -> str:
    """Rows in another order say the same."""
    _plain_rows(subject)
    rows = subject.rows
    order = np.random.default_rng(subject.seed).permutation(rows.n_rows)
    other = Observations(
        rows.values[order], names=rows.names, missing=rows.missing, resolution=rows.resolution,
        row_weights=None if rows.row_weights is None else rows.row_weights[order],
    )  # fmt: skip
    fit = subject.fitted(other, start=subject.start)
    return subject.same(subject.plain, Said(fit, other, subject.plain.written))


def order_of_labels(subject: Subject) -> str:
    """A start whose components are in another order leads to the same."""
    start = subject.start
    if start is None:
        start = subject.fit.parameters[0, 0]
    order = np.roll(np.arange(subject.spec.n_components), 1)
    fit = subject.fitted(start=start.permute(order))
    none = subject.plain.written
    return subject.same(subject.plain, Said(fit, subject.rows, none), exact=False)


def rows_by_blocks(subject: Subject) -> str:
    """Rows that are read a block at a time say what they say in memory."""
    _plain_rows(subject)
    rows = subject.rows
    if rows.row_weights is not None:
        raise Skipped("Weights of stored rows are a column of theirs.")
    if isinstance(subject.method, Chains):
        raise Skipped("Chains go over all the rows at every step.")
    parts = np.array_split(rows.values, 7)

    def blocks() -> Iterator[Array]:
        return iter(parts)

    stored = Observations(
        blocks, names=rows.names, missing=rows.missing, resolution=rows.resolution, in_memory=False
    )
    fit = subject.tried(stored, start=subject.start)
    said = Said(fit, rows, subject.plain.written)
    likelihood = float(fit.parameters.log_likelihood(rows).mean())
    close("log_likelihood", fit.log_likelihood, likelihood, rtol=LIKELIHOODS)
    return subject.same(subject.plain, said)


def weights_of_rows(subject: Subject) -> str:
    """A row of weight 2 counts as that row twice."""
    _plain_rows(subject)
    rows, none = subject.rows, subject.plain.written
    own = np.ones(rows.n_rows) if rows.row_weights is None else rows.row_weights

    def of(values: Array, weights: Array) -> Observations:
        return Observations(
            values, weights, rows.names, resolution=rows.resolution, missing=rows.missing
        )

    weighted = of(rows.values, 2 * own)
    twice = of(np.vstack([rows.values] * 2), np.tile(own, 2))
    one, other = (
        Said(subject.fitted(each, start=subject.start), each, none) for each in (twice, weighted)
    )
    close("total_weight", other.fit.fact("total_weight"), one.fit.fact("total_weight"))
    return subject.same(one, other)


def units(subject: Subject) -> str:
    """In other units, from other zeros, a fit is the same in these; of circles, one unit."""
    _plain_rows(subject)
    _without_ridge(subject)
    d = subject.rows.n_features
    unit = np.geomspace(2e-3, 30, d) if not subject.spec.structure.round else np.full(d, 30.0)
    shift = 7 * unit * np.nanstd(subject.rows.values, axis=0) * (-1.0) ** np.arange(d)
    return subject.same(subject.plain, subject.written(Affine(np.diag(unit), shift)))


def order_of_features(subject: Subject) -> str:
    """Features in another order are the same by name."""
    _plain_rows(subject)
    d = subject.rows.n_features
    if d == 1:
        raise Skipped("There is one feature.")
    order = np.roll(np.arange(d), 1)
    said = subject.written(Affine(np.eye(d)[order], np.zeros(d)),
                           [subject.rows.names[i] for i in order])  # fmt: skip
    how = subject.same(subject.plain, said)
    if not subject.draws:
        by_name = subject.fit.tree["posterior"].to_dataset()["means"]
        found = said.fit.tree["posterior"].to_dataset()["means"].sel(feature=by_name["feature"])
        gaps = np.sort(found.values, axis=2) - np.sort(by_name.values, axis=2)
        close("means by name", gaps / np.nanstd(subject.rows.values, axis=0), 0.0, atol=1e-5)
    return how


def rotation(subject: Subject) -> str:
    """Rows that are turned have a fit that is turned, where the model knows no axes.

    By likelihood those are ellipses of any orientation; priors are of features, so that with
    them it holds of circles, which are asked about in place of others.
    """
    _plain_rows(subject)
    _without_ridge(subject)
    d = subject.rows.n_features
    if d == 1 or subject.rows.missing is not None:
        raise Skipped("There is nothing to turn.")
    structure, spec = subject.spec.structure, subject.spec
    if not (structure.round or (structure.matrices and isinstance(subject.method, EM))):
        spec = subject.spec.replace(covariance="spherical")
    if spec.noise:
        raise Skipped("The box of noise has axes.")
    asked = Subject(subject.method, spec, subject.rows, subject.seed, subject.exact, False)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))[0]
    how = asked.same(asked.plain, asked.written(Affine(turn, turn.sum(axis=1))), exact=False)
    return how if spec == subject.spec else f"{how}, of {spec.covariance}"


def _without_ridge(subject: Subject) -> None:
    if has_ridge(subject.method):
        raise Skipped("reg_covar is in units of its own.")
