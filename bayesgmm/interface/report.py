"""A report: one page that says what was asked, what was found and how sure that is.

Everything is in the file, pictures too, so that it can be sent, kept and read without a network,
by eye, keyboard or screen reader.
"""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Iterator
from datetime import date
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import bayesgmm
from bayesgmm.analysis.checks.posterior_check import posterior_check
from bayesgmm.analysis.diagnose import diagnose
from bayesgmm.analysis.partitions.partition import partition
from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.errors import BayesGMMError, FileError, FitError
from bayesgmm.interface.plots.check import plot_check
from bayesgmm.interface.plots.criteria import plot_criteria
from bayesgmm.interface.plots.fit import plot_fit
from bayesgmm.interrupts import whole_imports
from bayesgmm.markup import facts, of_frame, sentences, table
from bayesgmm.options import PATH, optional
from bayesgmm.result.fit import MixtureFit
from bayesgmm.whole_files import replacing

#: Rows up to which a partition is sought, which takes rows x rows of work.
_ROWS_TO_PARTITION = 5_000
_FEATURES, _PARAMETERS = 40, 60  # that tables list
_DPI = 100
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  margin: 0 auto; max-width: 58rem; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.2rem; font-size: 1.3rem; }
.verdict { font-size: 1.1rem; border-left: 4px solid #0072b2; padding-left: 0.8rem; }
table { font-size: 0.92rem; margin: 0.6rem 0; } tbody tr:nth-child(odd) { background: #f4f6f8; }
caption { padding-bottom: 0.2rem; color: #444; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #333; font-size: 0.95rem; }
pre { background: #f4f6f8; padding: 0.7rem; overflow-x: auto; font-size: 0.88rem; }
nav ul { padding-left: 1.2rem; columns: 2; } a { color: #00568a; }
a:focus, [tabindex]:focus, pre:focus { outline: 3px solid #d55e00; outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: 0.5rem; }
@media (max-width: 40rem) { body { padding: 0.7rem; } nav ul { columns: 1; } }
@media print { nav, .skip { display: none; } }
"""


@whole_imports
def report(subject: MixtureFit | Selection, out: str | Path | None = None) -> Any:
    """One self-contained page on a fit, or on a selection and the model it prefers.

    What was asked, the data, the selection and how sure it is, the fit with its intervals, its
    diagnostics in words, pictures with what to see in them, and how to make it again.

    Parameters
    ----------
    subject : MixtureFit or Selection
        Of a selection the first model of its table is taken, sampled where it was sampled.
    out : path, optional
        An HTML file to write, whole or not at all.  The page as text where left out.

    Returns
    -------
    Path or str

    Raises
    ------
    FitError
        For anything else than a fit or a selection.
    FileError
        If the file cannot be written.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> page = bg.report(fit)
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    if not isinstance(subject, (MixtureFit, Selection)):
        raise FitError(f"report takes a fit or a selection, got {type(subject).__name__}.")
    path = optional(PATH)("out", out)
    if path is not None and not path.parent.is_dir():
        raise FileError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    page = _page(subject)
    if path is None:
        return page
    with replacing(str(path)) as fresh:
        fresh.write_text(page, encoding="utf-8")
    return path


def _page(subject: MixtureFit | Selection) -> str:
    selection = subject if isinstance(subject, Selection) else None
    fit = subject if isinstance(subject, MixtureFit) else _preferred(subject)
    sections = list(_sections(fit, selection))
    title = f"{fit.spec.label} on {fit.observations.n_rows:,} rows"
    verdict = f"{fit.status.sentence} {fit.status.remedy}".strip()
    if selection is not None:
        verdict = f"{selection.verdict} {verdict}"
    links = "".join(
        f'<li><a href="#part{i}">{escape(name)}</a></li>' for i, (name, _) in enumerate(sections)
    )
    body = "".join(
        f'<section aria-labelledby="part{i}"><h2 id="part{i}">{escape(name)}</h2>{part}</section>'
        for i, (name, part) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>"
        '<a class="skip" href="#main">Skip to the report</a>'
        f'<header><h1>{escape(title)}</h1><p class="verdict">{escape(verdict)}</p></header>'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav><main id="main">{body}</main>'
        f"<footer><p>Made by bayesgmm {bayesgmm.__version__}, {date.today().isoformat()}.</p>"
        "</footer></body></html>\n"
    )


def _preferred(selection: Selection) -> MixtureFit:
    label = str(selection.table.index[0])
    return selection.posteriors.get(label) or selection.fits[label]


def _sections(fit: MixtureFit, selection: Selection | None) -> Iterator[tuple[str, str]]:
    yield "What was asked", _asked(fit, selection)
    yield "The data", _data(fit)
    if selection is not None:
        yield "Which model", _selected(selection)
    yield "The mixture", _mixture(fit)
    yield "Can it be relied on?", _diagnosed(fit)
    yield "Which row belongs where", _rows(fit)
    yield "How to make it again", _again(fit)


def _asked(fit: MixtureFit, selection: Selection | None) -> str:
    lines = []
    if selection is not None:
        models = ", ".join(map(str, selection.table.index[:12]))
        more = ", …" if len(selection.table) > 12 else ""
        lines.append(
            f"Which of {len(selection.table)} mixtures of normals describes the data best, in "
            f"order of {selection.by}: {models}{more}."
        )
    spec = fit.spec
    lines.append(
        f"A mixture of {spec.n_components} normal component"
        f"{'s' * (spec.n_components != 1)}, {spec.structure.words}"
        + (", with noise beside them" if spec.noise else "")
        + f", fitted by {fit.method}."
    )
    return sentences(lines) + str(spec._repr_html_())


def _data(fit: MixtureFit) -> str:
    rows = fit.observations
    lines = [f"{rows.n_rows:,} rows of {rows.n_features} features."]
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
    header = ["feature", "values", "least", "median", "largest", "mean", "sd"]
    return sentences(lines) + table("Features", header, columns)


def _selected(selection: Selection) -> str:
    picture = _figure(
        lambda: plot_criteria(selection, criterion="bic"),
        "BIC of every model over the number of components",
        "Lower is better. A line for each covariance structure; the star is the best. Where lines "
        "are flat the data do not tell the models apart.",
    )
    return str(selection._repr_html_()) + picture


def _mixture(fit: MixtureFit) -> str:
    d = len(fit.feature_names)
    what = {1: "Histogram of the data with the mixture's density", 2: "The rows with ellipses"}
    alt = what.get(d, "Pairs of features with ellipses") + f" of {fit.spec.n_components} components"
    see = (
        "Colour is the component a row belongs to, grey where that is in doubt. Ellipses hold half "
        "and nine tenths of a component."
    )
    if d == 1:
        see = "Coloured curves are components, the black one is their sum; bars are the data."
    if fit.is_posterior:
        see += " Thin lines are draws of the posterior: where they spread, the data say little."
    summary = fit.summary()
    formats = dict.fromkeys(map(str, summary.columns), "{:.4g}".format)
    return (
        _figure(lambda: plot_fit(fit), alt, see)
        + str(fit._repr_html_())
        + of_frame("Every parameter", summary.head(_PARAMETERS), formats)
    )


def _diagnosed(fit: MixtureFit) -> str:
    told = [f"Status: {fit.status}. {fit.status.sentence} {fit.status.remedy}".strip()]
    if fit.note:
        told.append(fit.note)
    found = sentences(told)
    if fit.is_posterior:
        found += str(diagnose(fit)._repr_html_())
    try:
        check = posterior_check(fit, seed=1, n_replicates=200)
    except BayesGMMError as error:
        return found + sentences([f"The data were not held against simulated ones: {error}"])
    picture = _figure(
        lambda: plot_check(check),
        "Where the data lie in the predictive distribution, and statistics of replicated data",
        "Lines inside the band, and dots inside their bars, are what a right model gives.",
    )
    return found + sentences([check.verdict, *check.notes]) + picture


def _rows(fit: MixtureFit) -> str:
    memberships = fit.predict_proba()
    sure = memberships.max("component").values
    counts = np.bincount(memberships.values.argmax(axis=1), minlength=memberships.shape[1])
    names = [str(name) for name in memberships["component"].values]
    rows = [[name, f"{count:,}"] for name, count in zip(names, counts, strict=True)]
    lines = [
        f"{(sure >= 0.95).mean():.0%} of the rows belong to their component with a probability of "
        "0.95 or more."
    ]
    unsure = np.argsort(sure, kind="stable")[:8]
    labels = fit.observations.index
    told = ", ".join(f"{labels[i]} ({sure[i]:.2f})" for i in unsure)
    lines.append(f"The least certain rows, with the probability of their component: {told}.")
    found = sentences(lines) + table("Rows by component", ["component", "rows"], rows)
    if fit.is_posterior and fit.observations.n_rows <= _ROWS_TO_PARTITION:
        found += str(partition(fit, seed=1)._repr_html_())
    return found


def _again(fit: MixtureFit) -> str:
    code = (
        "import bayesgmm as bg\n\n"
        f"spec = bg.MixtureSpec.from_json('''{fit.spec.to_json()}''')\n"
        f"fit = bg.fit(spec, data, method={fit.method!r}, seed={fit.tree.attrs['seed']})"
    )
    packages = ("numpy", "numba", "scipy", "xarray", "arviz", "nutpie")
    versions = [("bayesgmm", bayesgmm.__version__), ("python", platform.python_version())]
    versions += [(name, version(name)) for name in packages]
    return f'<pre tabindex="0"><code>{escape(code)}</code></pre>' + facts("Versions", versions)


def _figure(draw: Any, alt: str, see: str) -> str:
    """A picture within the page, with what it shows and what to see in it."""
    from matplotlib.figure import Figure

    axes = np.ravel(np.asarray(draw(), dtype=object))[0]
    figure = axes.figure
    while not isinstance(figure, Figure):  # of a part of a figure the whole
        figure = figure.figure
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI, bbox_inches="tight")
    _close(figure)
    data = base64.b64encode(content.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(see)}</figcaption></figure>"
    )


def _close(figure: Any) -> None:
    import matplotlib.pyplot as plt

    plt.close(figure)
