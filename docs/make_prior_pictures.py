"""The pictures of docs/priors.md: ``python docs/make_prior_pictures.py [folder]``.

Draws come from the same ``Priors`` and densities that fits use, with fixed seeds, so
the pictures are the same each time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from scipy import stats

import bayesgmm as bg
from bayesgmm.interface.plots.palette import PALETTE

#: SciPy's distribution of each family, to draw with.
DISTRIBUTIONS = {
    bg.LogNormal: lambda p: stats.lognorm(p.sigma, scale=p.median),
    bg.HalfNormal: lambda p: stats.halfnorm(scale=p.sd),
    bg.Gamma: lambda p: stats.gamma(p.shape, scale=1 / p.rate),
    bg.InverseGamma: lambda p: stats.invgamma(p.shape, scale=p.scale),
}


def weights():
    """Dirichlet draws of three weights, on the triangle, for four concentrations."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.5), layout="constrained")
    for ax, alpha in zip(axes, (0.1, 1.0, 2.0, 10.0), strict=True):
        draws = np.random.default_rng(1).dirichlet(np.full(3, alpha), size=100_000)
        ax.plot(*np.vstack([corners, corners[:1]]).T, color="0.3", lw=1)
        ax.plot(*(draws[:1000] @ corners).T, ".", ms=4, alpha=0.35, color=PALETTE[0], mec="none")
        for j, (corner, shift) in enumerate(
            zip(corners, [(-0.06, -0.08), (0.06, -0.08), (0, 0.04)], strict=True)
        ):
            ax.annotate(f"$w_{j + 1}=1$", corner + shift, ha="center", fontsize=9)
        emptied = np.mean(draws.min(axis=1) < 0.01)
        default = " (default)" if alpha == 2 else ""
        ax.set_title(
            f"$\\alpha$ = {alpha:g}{default}\nsmallest weight below 0.01: {emptied:.1%}",
            fontsize=10,
        )
        ax.set(aspect="equal", xlim=(-0.17, 1.17), ylim=(-0.13, 0.95))
        ax.axis("off")
    return figure


def means():
    """Three widths of the prior of the means, over real data on the standardised scale."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharex=True)
    at = np.linspace(-7, 7, 600)
    columns = {
        "Old Faithful, waiting": bg.datasets.faithful().values[:, 1],
        "galaxies, velocity": bg.datasets.galaxies().values[:, 0],
    }
    for ax, (name, values) in zip(axes, columns.items(), strict=True):
        z = (values - values.mean()) / values.std()
        ax.hist(
            z, bins=24, density=True, color="0.85", label=f"data: {z.min():.1f} to {z.max():.1f}"
        )
        for sd, color, style in zip((0.5, 2.0, 10.0), PALETTE, ("--", "-", ":"), strict=False):
            default = " (default)" if sd == 2 else ""
            ax.plot(
                at,
                stats.norm(0, sd).pdf(at),
                style,
                color=color,
                lw=2,
                label=f"Normal(0, {sd:g}){default}",
            )
        ax.set(title=name, xlabel="mean of a component, in sds of the data", ylabel="density")
        ax.legend(frameon=False, fontsize=9)
    return figure


def scales():
    """The four families: the density near zero, and how it looks in log sigma."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    at = np.geomspace(1e-4, 30, 1000)
    for family, color, style in zip(DISTRIBUTIONS, PALETTE, ("-", "--", "-.", ":"), strict=False):
        prior = family()
        distribution = DISTRIBUTIONS[family](prior)
        name = repr(prior) + (" (default)" if family is bg.LogNormal else "")
        axes[0].loglog(at, np.maximum(distribution.pdf(at), 1e-30), style, color=color, lw=2)
        axes[1].semilogx(at, at * distribution.pdf(at), style, color=color, lw=2, label=name)
    axes[0].set(
        ylim=(1e-12, 5),
        title="near zero: what meets a collapsing likelihood",
        xlabel=r"$\sigma$, in sds of the data",
        ylabel=r"density of $\sigma$ (log)",
    )
    axes[1].set(
        xlim=(5e-3, 30),
        title=r"where the mass is",
        ylim=(0, 1.0),
        xlabel=r"$\sigma$, in sds of the data",
        ylabel=r"density of log $\sigma$",
    )
    axes[1].legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def correlations():
    """The marginal density of one correlation in two, five and ten dimensions."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharey=True)
    at = np.linspace(-1, 1, 801)
    for ax, d in zip(axes, (2, 5, 10), strict=True):
        lines = {"LKJ(1)": 1.0, f"LKJ({bg.Priors().eta(d):g}), the default": bg.Priors().eta(d)}
        for (name, eta), color, style in zip(lines.items(), PALETTE[1:], ("--", "-"), strict=False):
            shape = eta + d / 2 - 1  # of a beta on (-1, 1)
            ax.plot(
                at,
                stats.beta(shape, shape, loc=-1, scale=2).pdf(at),
                style,
                color=color,
                lw=2,
                label=name,
            )
        ax.plot(at, np.full(len(at), 0.5), ":", color=PALETTE[0], lw=2, label="'uniform'")
        ax.set(title=f"{d} features", xlabel="correlation of two of them")
        ax.legend(frameon=False, fontsize=9, loc="upper right")
    axes[0].set_ylabel("density")
    axes[0].set_ylim(bottom=0)
    return figure


def datasets(rows=3, columns=4, n=200):
    """Data sets from the whole default prior: three components, two features."""
    priors, rng = bg.Priors(), np.random.default_rng(7)
    figure, axes = plt.subplots(
        rows, columns, figsize=(11, 8.2), layout="constrained", sharex=True, sharey=True
    )
    for ax in axes.flat:
        mixture = one_mixture(priors, rng, k=3, d=2)
        x, component = mixture.simulate(n, seed=rng)
        ax.add_patch(Rectangle((-2, -2), 4, 4, fill=False, ec="0.6", ls="--", lw=1))
        for j in range(3):
            mine = component == j
            ax.plot(*x[mine].T, "os^"[j], ms=3, alpha=0.7, color=PALETTE[j], mec="none")
        outside = int((np.abs(x) > 8).any(axis=1).sum())
        if outside:
            ax.annotate(
                f"{outside} outside",
                (0.97, 0.03),
                xycoords="axes fraction",
                ha="right",
                fontsize=8,
                color="0.35",
            )
        ax.set(
            xlim=(-8, 8), ylim=(-8, 8), aspect="equal", xticks=[-6, -2, 2, 6], yticks=[-6, -2, 2, 6]
        )
    figure.suptitle(
        f"Twelve data sets of {n} rows from the default prior (K = 3, D = 2, full)\n"
        "dashed: two standard deviations of the data each way",
        fontsize=11,
    )
    return figure


def one_mixture(priors, rng, k, d):
    """A mixture from the priors, on the standardised scale."""
    weights = rng.dirichlet(np.full(k, priors.weights))
    means = rng.normal(priors.mean_location, priors.mean_scale, size=(k, d))
    scale = DISTRIBUTIONS[type(priors.scales)](priors.scales).rvs((k, d), random_state=rng)
    factors = np.stack([lkj_factor(priors.eta(d), d, rng) for _ in range(k)])
    return bg.MixtureParameters(weights, means, scale[..., None] * factors)


def lkj_factor(eta, d, rng):
    """Cholesky factor of an LKJ correlation matrix; each row is drawn by itself.

    Row i below its diagonal has density proportional to (1 - |c|^2)^(eta - 1 + (D - i)/2).
    """
    factor = np.zeros((d, d))
    factor[0, 0] = 1.0
    for i in range(1, d):  # from zero: i entries below the diagonal
        square = rng.beta(i / 2, eta + (d - 1 - i) / 2)
        direction = rng.standard_normal(i)
        factor[i, :i] = np.sqrt(square) * direction / np.linalg.norm(direction)
        factor[i, i] = np.sqrt(1 - square)
    return factor


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (weights, means, scales, correlations, datasets):
        figure = draw()
        figure.savefig(folder / f"prior_{draw.__name__}.png", dpi=110, bbox_inches="tight")
        plt.close(figure)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "images")
