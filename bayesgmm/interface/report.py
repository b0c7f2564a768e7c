"""A report: one page that says what was asked, what was found and how sure that is.

Everything is in the file, pictures too, so that it can be sent, kept and read without a network,
by eye, keyboard or screen reader.
"""

from __future__ import annotations

from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import bayesgmm
from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.errors import FileError, FitError
from bayesgmm.interface.report_sections import sections
from bayesgmm.interface.report_words import in_words
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import PATH, optional
from bayesgmm.result.fit import MixtureFit
from bayesgmm.whole_files import replacing

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  margin: 0 auto; max-width: 58rem; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.2rem; font-size: 1.3rem; }
.verdict { font-size: 1.1rem; border-left: 4px solid #0072b2; padding-left: 0.8rem; }
table { font-size: 0.92rem; margin: 0.6rem 0; } tbody tr:nth-child(odd) { background: #f4f6f8; }
caption { padding-bottom: 0.2rem; color: #444; white-space: normal !important; }
thead th { white-space: normal !important; vertical-align: bottom; }
tbody th { white-space: normal !important; min-width: 6rem; }
figure { margin: 1.2rem 0; } .picture { overflow-x: auto; }
img { max-width: 100%; height: auto; }
figcaption { color: #333; font-size: 0.95rem; }
pre { background: #f4f6f8; padding: 0.7rem; overflow-x: auto; font-size: 0.88rem; }
nav ul { padding-left: 1.2rem; columns: 2; } a { color: #00568a; }
a:focus, [tabindex]:focus, pre:focus { outline: 3px solid #d55e00; outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: 0.5rem; }
@media (max-width: 40rem) { body { padding: 0.7rem; } nav ul { columns: 1; }
  img { max-width: 36rem; } tbody th { min-width: 9rem; } }
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
    parts = list(sections(fit, selection))
    title = f"{fit.spec.label} on {fit.observations.n_rows:,} rows"
    verdict = f"{fit.status.sentence} {fit.status.remedy}".strip()
    if selection is not None:
        verdict = f"{in_words(selection.verdict)} {verdict}"
    links = "".join(
        f'<li><a href="#part{i}">{escape(name)}</a></li>' for i, (name, _) in enumerate(parts)
    )
    body = "".join(
        f'<section aria-labelledby="part{i}"><h2 id="part{i}">{escape(name)}</h2>{part}</section>'
        for i, (name, part) in enumerate(parts)
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
