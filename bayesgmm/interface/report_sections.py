"""The sections of a report, each a heading and what stands below it."""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Iterator
from html import escape
from importlib.metadata import version
from typing import Any

import numpy as np

import bayesgmm
from bayesgmm.analysis.checks.posterior_check import posterior_check
from bayesgmm.analysis.partitions.partition import partition
from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.errors import BayesGMMError
from bayesgmm.interface import report_findings as findings
from bayesgmm.interface import report_words as words
from bayesgmm.interface.made_again import code, command_line
from bayesgmm.interface.plots.check import plot_check
from bayesgmm.interface.plots.criteria import plot_criteria
from bayesgmm.interface.plots.fit import plot_fit
from bayesgmm.interface.plots.memberships import plot_memberships
from bayesgmm.interface.plots.selection import plot_selection
from bayesgmm.markup import facts, sentences, table
from bayesgmm.methods import METHODS
from bayesgmm.result.fit import MixtureFit

#: Rows up to which a partition is sought, which takes rows x rows of work.
_ROWS_TO_PARTITION = 5_000
_FEATURES = 40  # that tables list
_DPI = 100


def sections(fit: MixtureFit, selection: Selection | None) -> Iterator[tuple[str, str]]:
    """Heading and content of each."""
    yield "What was asked", _asked(fit, selection)
    yield "The data", _data(fit)
    if selection is not None:
        yield "Which model", _selected(selection)
    yield "The mixture", _mixture(fit)
    yield "Can it be relied on?", _diagnosed(fit)
    yield "Which row belongs where", _rows(fit)
    yield "How to make it again", _again(fit, selection)


def _asked(fit: MixtureFit, selection: Selection | None) -> str:
    lines = []
    if selection is not None:
        k = selection.table["n_components"]
        structures = ", ".join(dict.fromkeys(selection.table["covariance"]))
        lines.append(
            f"Which of {len(selection.table)} mixtures of normals describes the data best, by "
            f"{words.CRITERIA[selection.by]}: K from {k.min()} to {k.max()} components, of the "
            f"structures {structures}."
        )
    spec = fit.spec
    chains, draws = fit.parameters.batch_shape
    some = f"{chains} chain{'s' * (chains != 1)} x {draws} draws"
    lines.append(
        f"A mixture of {spec.n_components} normal component"
        f"{'s' * (spec.n_components != 1)}, {spec.structure.words}"
        + (", with noise beside them" if spec.noise else "")
        + f", fitted by {METHODS[fit.method].title.format(some)}."
    )
    shown = str(spec._repr_html_()).replace("MixtureSpec", "The model and its priors")
    return sentences(lines) + shown


def _data(fit: MixtureFit) -> str:
    rows = fit.observations
    lines = [f"{rows.n_rows:,} rows of {rows.n_features} feature{'s' * (rows.n_features != 1)}."]
    if steps := rows.recorded():
        lines.append(f"Values are recorded to {steps}.")
    if rows.n_unseen:
        many = "value was" if rows.n_unseen == 1 else "values were"
        lines.append(f"{rows.n_unseen:,} {many} not seen; rows count for what was seen of them.")
    if known := rows.how_seen():
        lines.append(f"Rows are {known}.")
    if rows.row_weights is not None:
        lines.append(f"Row weights add up to {rows.total_weight:,.4g}.")
    columns = []
    for name, column in list(zip(rows.names, rows.values.T, strict=True))[:_FEATURES]:
        there = column[~np.isnan(column)]
        numbers = there.min(), np.median(there), there.max(), there.mean(), there.std()
        columns.append([name, f"{len(there):,}", *(f"{number:.4g}" for number in numbers)])
    header = ["feature", "values", "least", "median", "largest", "mean", "standard deviation"]
    return sentences(lines) + table("Features", header, columns)


def _selected(selection: Selection) -> str:
    pictures = []
    if selection.table["probability"].notna().any():
        pictures.append(
            _figure(
                lambda: plot_selection(selection),
                findings.probabilities(selection),
                "On the left the log evidence, the larger the better; on the right how probable "
                "each number of components is, parted by structure. What was not sampled is "
                "given the most that it may hold.",
            )
        )
    pictures.append(
        _figure(
            lambda: plot_criteria(selection, criterion="bic"),
            findings.criterion(selection),
            "BIC, the lower the better. A line for each covariance structure; the star is the "
            "best. Where lines are flat the data do not tell the models apart.",
        )
    )
    return words.selected(selection) + "".join(pictures)


def _mixture(fit: MixtureFit) -> str:
    see = (
        "Colour is the component a row belongs to, grey where that is in doubt. Ellipses hold half "
        "and nine tenths of a component."
    )
    if len(fit.feature_names) == 1:
        noise = " the dotted one is noise," if fit.spec.noise else ""
        see = (
            f"Coloured curves are components,{noise} the black one is the sum of all; bars are the "
            "data."
        )
    elif fit.spec.noise:
        see += " Crosses are rows that are most probably noise."
    if fit.is_posterior:
        see += " Thin lines are draws of the posterior: where they spread, the data say little."
    return (
        _figure(lambda: plot_fit(fit), findings.mixture(fit), see)
        + str(fit._repr_html_()).replace("MixtureFit ", "", 1)
        + words.parameters(fit)
    )


def _diagnosed(fit: MixtureFit) -> str:
    told = [f"Status: {fit.status}. {fit.status.sentence} {fit.status.remedy}".strip()]
    if fit.note:
        told.append(fit.note)
    found = sentences(told)
    if fit.is_posterior:
        found += words.diagnosed(fit)
    try:
        check = posterior_check(fit, seed=1, n_replicates=200)
    except BayesGMMError as error:
        reason = str(error).replace("posterior_check", "that")
        return found + sentences([f"The data were not held against simulated ones: {reason}"])
    picture = _figure(
        lambda: plot_check(check),
        f"Rows in the predictive distribution, and statistics of replicated data. {check.verdict}",
        "Lines inside the band, and dots inside their bars, are what a right model gives.",
    )
    return found + sentences([check.verdict, *check.notes]) + picture


def _rows(fit: MixtureFit) -> str:
    memberships = fit.predict_proba()
    sure = memberships.max("component").values
    counts = np.bincount(memberships.values.argmax(axis=1), minlength=memberships.shape[1])
    names = [str(name) for name in memberships["component"].values]
    rows = [[name, f"{count:,}"] for name, count in zip(names, counts, strict=True)]
    found = sentences(
        [
            f"{(sure >= 0.95).sum():,} of {len(sure):,} rows belong to their component with a "
            "probability of 0.95 or more."
        ]
    )
    labels = fit.observations.index
    if memberships.shape[1] > 1:
        unsure = np.argsort(sure, kind="stable")[:8]
        told = ", ".join(f"{labels[i]} ({sure[i]:.2f})" for i in unsure)
        found += sentences(
            [f"The least certain rows, with the probability of their component: {told}."]
        )
        found += _figure(
            lambda: plot_memberships(fit),
            findings.memberships(memberships, labels),
            "Above, each row is a column that its components share by probability. Below, how "
            "unsure that is: 0 bits where one component is certain, 1 where two are as likely.",
        )
    found += table("Rows by component", ["component", "rows"], rows)
    if fit.is_posterior and fit.observations.n_rows <= _ROWS_TO_PARTITION:
        found += str(partition(fit, seed=1)._repr_html_())
    return found


def _again(fit: MixtureFit, selection: Selection | None) -> str:
    parts = []
    if command := command_line(fit):
        parts += [sentences(["At the command line, where the table lies:"]), _code(command)]
    parts += [sentences(["In Python, with the table put in:"]), _code(code(fit, selection))]
    packages = ("numpy", "numba", "scipy", "xarray", "arviz", "nutpie")
    versions = [("bayesgmm", bayesgmm.__version__), ("python", platform.python_version())]
    versions += [(name, version(name)) for name in packages]
    return "".join(parts) + facts("Versions", versions)


def _code(text: str) -> str:
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _figure(draw: Any, alt: str, see: str) -> str:
    """A picture within the page, with what it shows and what to see in it."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    axes = np.ravel(np.asarray(draw(), dtype=object))[0]
    figure = axes.figure
    while not isinstance(figure, Figure):  # of a part of a figure the whole
        figure = figure.figure
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI, bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(content.getvalue()).decode()
    return (
        '<figure><div class="picture" tabindex="0" role="group" aria-label="Picture">'
        f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(see)}</figcaption></figure>"
    )
