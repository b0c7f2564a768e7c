"""NUTS and Laplace on the fused density; the PyMC model of the same spec.

One PyMC model is sampled (its compilation takes minutes where caches are cold) and
shared; log densities are compared without compiling, in every structure.
"""

import warnings
from itertools import product

import numpy as np
import pytensor
import pytest
import xarray as xr
from pytensor.compile.mode import Mode

import bayesgmm as bg
from bayesgmm.inference.convergence import VERDICTS
from bayesgmm.inference.sampling import chains, laplace, nutpie_bridge
from bayesgmm.inference.sampling.modes import prepare
from bayesgmm.inference.sampling.nuts import MANY_DIVERGENCES
from bayesgmm.inference.sampling.pymc_model import initial_values, parameters_of, to_pymc
from bayesgmm.inference.sampling.student_mixture import NORMAL, StudentMixture, effective_number
from bayesgmm.methods import Run
from bayesgmm.result.status import Status
from tests.monte_carlo import ERRORS, z_scores
from tests.support import SKLEARNS, STRUCTURES

SLOW = Mode(linker="py", optimizer="fast_compile")  # Python: nothing is compiled


@pytest.fixture(scope="module")
def pymc_faithful(faithful):
    """The one sampled PyMC model: diag, the quickest to compile that has every kind of parameter
    but correlations, which benchmarks/engines.py has as well."""
    return bg.fit(
        bg.MixtureSpec(2, "diag"),
        faithful,
        method="nuts",
        engine="pymc",
        seed=3,
        draws=1000,
        tune=500,
        chains=2,
    )


def own_values(model):
    """A function of the values of a model's variables by name: those it has by itself, which are
    without bounds.  Compiled once, since that takes far longer than a call."""
    given, own = [], []
    for variable in model.value_vars:
        owner = model.values_to_rvs[variable]
        transform = model.rvs_to_transforms[owner]
        given.append(owner.type(owner.name))
        inputs = owner.owner.inputs
        own.append(given[-1] if transform is None else transform.forward(given[-1], *inputs))
    compiled = pytensor.function(given, own, mode=SLOW, on_unused_input="ignore")
    names = [variable.name for variable in model.value_vars]

    def values_of(values):
        called = compiled(*(values[symbol.name] for symbol in given))
        return dict(zip(names, called, strict=True))

    return values_of


def gaps_to_pymc(spec, x, n):
    """PyMC's joint density of its own variables less ours, at random points about the mode."""
    model, d = to_pymc(spec, x), x.n_features
    density = bg.LogPosterior(spec, x, jacobian=False)
    joint = model.compile_logp(jacobian=False, mode=SLOW)
    to_own = own_values(model)
    top = density.unconstrain(bg.fit(spec, x, method="map", seed=0).parameters[0, 0])
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(n):
        theta = top + 0.3 * rng.normal(size=density.size)
        values = initial_values(spec, density.constrain(theta), x)
        point = to_own(values)
        extra = 0.0
        if d > 1 and spec.structure.matrices:
            factor = values["corrchol"].reshape(-1, d, d)
            extra = sum((d - 1 - i) * np.log(factor[:, i, i]).sum() for i in range(d))
        gaps.append(float(joint(point)) - extra - density.value(theta))
    return gaps


@pytest.mark.pymc
@pytest.mark.parametrize(
    ("covariance", "d", "correlations", "step"),
    [  # PyMC compiles each
        ("full", 1, None, 0.3), ("full", 3, None, 0), ("full", 3, "uniform", [0.3, 0, 0.5]),
        ("tied", 2, "uniform", 0.3), ("diag", 2, None, 0.3), ("spherical", 2, None, [0.3, 0]),
        ("tied-diag", 2, None, 0.3), ("tied-spherical", 2, None, [0.3, 0]),
    ],
)  # fmt: skip
def test_log_density_equals_pymcs_up_to_a_constant(covariance, d, correlations, step, blobs):
    """At 100 random points, PyMC's joint density of its own variables less the Jacobian
    of its Cholesky factors (prod C_ii^(D - i), one where D < 3), which ours leaves out."""
    x = bg.Observations(blobs[1][:150, :d], resolution=step)
    priors = bg.Priors(scales=bg.Gamma(2.0, 3.0), weights=1.3, correlations=correlations)
    gaps = gaps_to_pymc(bg.MixtureSpec(2, covariance, priors), x, n=100)
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-8)


@pytest.mark.slow
@pytest.mark.pymc
@pytest.mark.parametrize(("covariance", "d"), [("full", 3), ("tied", 2), ("diag", 2)])
def test_log_density_of_rows_seen_in_part_equals_pymcs(covariance, d, blobs):
    """With holes, one row of which nothing was seen, known labels and row weights."""
    rng = np.random.default_rng(3)
    x = blobs[1][:120, :d].copy()
    x[rng.random(x.shape) < 0.3] = np.nan
    x[0] = np.nan
    rows = bg.Observations(
        x,
        row_weights=rng.uniform(0.5, 2, 120),
        missing="marginal",
        labels=np.where(np.arange(120) % 10 == 1, 1, -1),
        resolution=0.2,
    )
    gaps = gaps_to_pymc(bg.MixtureSpec(2, covariance), rows, n=30)
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-8)


@pytest.mark.pymc
@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_map_is_where_pymcs_own_maximisation_ends(covariance, faithful):
    """Where the definitions coincide (no correlations), pm.find_MAP stays at our MAP."""
    import pymc as pm

    spec = bg.MixtureSpec(2, covariance)
    ours = bg.fit(spec, faithful, method="map", seed=0).parameters[0, 0]
    start = initial_values(spec, ours, faithful)
    start = {name: value * 1.01 for name, value in start.items()}
    start["weights"] = start["weights"] / start["weights"].sum()
    with to_pymc(spec, faithful):
        tree = pm.find_MAP(
            initvals=start,
            progressbar=False,
            compile_kwargs={"mode": SLOW},
            return_inferencedata=True,
            jitter=False,
            tol=1e-12,
        )
    found = tree["posterior"].isel(chain=0, draw=0)
    np.testing.assert_allclose(found["means"], ours.means, rtol=1e-4)
    np.testing.assert_allclose(found["weights"], ours.weights, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.pymc
def test_pymc_engine_and_the_default_sample_one_posterior(pymc_faithful, faithful):
    ours = bg.fit(pymc_faithful.spec, faithful, method="nuts", seed=4)
    assert pymc_faithful.status is Status.CONVERGED
    assert np.abs(z_scores(ours, pymc_faithful)).max() < ERRORS


@pytest.mark.pymc
def test_pymc_model_predicts_and_scores_rows(faithful):
    """Its pointwise log-likelihood is ours; prior and posterior prediction work."""
    import pymc as pm

    x = bg.Observations(faithful[:40])
    assert x.resolution.all()  # so that a row's covariance is Sigma + S in both
    spec = bg.MixtureSpec(2, "diag")
    model = to_pymc(spec, x)
    with model:
        prior = pm.sample_prior_predictive(20, random_seed=1, compile_kwargs={"mode": SLOW})
    assert prior["prior_predictive/x"].sizes == {"chain": 1, "draw": 20, "obs": 40, "feature": 2}
    draws = prior["prior"].to_dataset()
    with model:
        predicted = pm.sample_posterior_predictive(
            draws, random_seed=1, progressbar=False, compile_kwargs={"mode": SLOW}
        )
    assert np.isfinite(predicted["posterior_predictive/x"].values).all()
    pointwise = model.compile_fn(
        model.logp(vars=model.observed_RVs, sum=False, jacobian=False)[0],
        inputs=model.value_vars,
        point_fn=False,
        mode=SLOW,
        on_unused_input="ignore",
    )
    point = bg.fit(spec, x, method="map", seed=0)
    values = initial_values(spec, point.parameters[0, 0], x)
    arguments = own_values(model)(values).values()
    np.testing.assert_allclose(
        pointwise(*arguments), point.tree["log_likelihood/x"].values[0, 0], rtol=1e-10
    )


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_mixture_is_pymcs_variables_and_back(covariance, blobs):
    """Its variables are of Sigma, a fit's covariances of what is recorded."""
    _, x, _ = blobs
    rows, spec = bg.Observations(x, resolution=[1.0, 0.0, 0.2]), bg.MixtureSpec(3, covariance)
    density = bg.LogPosterior(spec, rows)
    p = density.constrain(0.5 * np.random.default_rng(0).normal(size=(2, 5, density.size)))
    draws = [initial_values(spec, p[i, j], rows) for i, j in np.ndindex(2, 5)]
    posterior = xr.Dataset(
        {
            name: (
                ("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim))),
                np.stack([draw[name] for draw in draws]).reshape(2, 5, *value.shape),
            )
            for name, value in draws[0].items()
        }
    )
    back = parameters_of(spec, posterior, rows)
    np.testing.assert_allclose(back.means, p.means)
    np.testing.assert_allclose(back.covariances, p.covariances, rtol=1e-8)


@pytest.mark.parametrize(
    ("covariance", "k", "d"),
    [
        *product(SKLEARNS, (1, 2), (1, 2)),
        ("tied-diag", 2, 2),
        ("tied-spherical", 2, 2),
    ],
)  # fmt: skip  - the others are one of these where K or D is one
def test_nuts_agrees_with_importance_sampling_from_the_laplace_draws(covariance, k, d, faithful):
    """Two routes to one posterior, independent of each other's errors."""
    x = faithful[:, :d]
    spec = bg.MixtureSpec(k, covariance)
    nuts = bg.fit(spec, x, method="nuts", seed=1, draws=800, chains=2)
    laplace = bg.fit(spec, x, method="laplace", seed=2, draws=2000)
    assert nuts.status is Status.CONVERGED
    assert float(laplace.tree["fit/pareto_k"]) < 0.7
    assert np.abs(z_scores(nuts, laplace)).max() < ERRORS


def one_normal_by_integration(x):
    """The posterior of one normal on a grid (SciPy): its mu (401, 1), sigma (400,) and masses."""
    from scipy import stats

    unit, center = x.std(), x.mean()
    mu = center + unit * np.linspace(-6, 6, 801)[:, None]
    sigma = unit * np.exp(np.linspace(np.log(0.2), np.log(20), 800))
    log = stats.norm(center, 2 * unit).logpdf(mu) + stats.lognorm(1, scale=unit / 2).logpdf(sigma)
    log = log + np.log(sigma)  # the grid is even in log sigma
    for row in x:
        log = log + stats.norm.logpdf(row, mu, sigma)
    mass = np.exp(log - log.max())
    return mu, sigma, mass / mass.sum()


def test_nuts_of_one_normal_is_the_posterior_by_integration(galaxies):
    """K = 1, D = 1: mean and sd of mu and sigma."""
    fit = bg.fit(bg.MixtureSpec(1), galaxies, method="nuts", seed=2, draws=2000)
    mu, sigma, mass = one_normal_by_integration(galaxies.values[:, 0])
    draws = fit.tree["posterior"]
    for values, grid in ((draws["means"], mu), (draws["scales"], sigma)):
        mean = (mass * grid).sum()
        sd = np.sqrt((mass * (grid - mean) ** 2).sum())
        assert abs(float(values.mean()) - mean) < 0.1 * sd
        assert abs(float(values.std()) / sd - 1) < 0.1


def test_laplace_has_the_tails_of_the_posterior():
    """Six rows, whose posterior is far from normal, have the quantiles that integration finds."""
    x = np.array([-1.2, -0.7, 0.0, 0.1, 0.6, 1.9])
    fit = bg.fit(bg.MixtureSpec(1), x[:, None], method="laplace", seed=1, draws=4000)
    assert fit.status is Status.CONVERGED
    mu, sigma, mass = one_normal_by_integration(x)
    draws = fit.tree["posterior"]
    for values, grid, along in ((draws["means"], mu[:, 0], 1), (draws["scales"], sigma, 0)):
        below = np.cumsum(mass.sum(axis=along))
        for p in (0.01, 0.05, 0.5, 0.95, 0.99):
            end = np.interp(p, below, grid)
            error = np.sqrt(p * (1 - p) * (1 / 4000 + 1 / float(fit.tree["fit/weight_ess"])))
            assert abs(float((values < end).mean()) - p) < ERRORS * error


def test_a_seed_gives_bit_equal_draws_on_any_number_of_cores(faithful):
    spec = bg.MixtureSpec(2)
    options = {"method": "nuts", "draws": 50, "tune": 100, "chains": 3}
    a = bg.fit(spec, faithful, seed=11, **options)
    b = bg.fit(spec, faithful, seed=11, cores=1, **options)
    c = bg.fit(spec, faithful, seed=12, **options)
    np.testing.assert_array_equal(a.parameters.means, b.parameters.means)
    assert not np.array_equal(a.parameters.means, c.parameters.means)


def test_permutations_are_kept_and_give_the_raw_draws_back(nuts_faithful):
    permutation = nuts_faithful.tree["sample_stats/permutation"].values
    back = np.argsort(permutation, axis=-1)
    raw = nuts_faithful.parameters.permute(back)
    again = raw.permute(permutation)
    np.testing.assert_array_equal(again.means, nuts_faithful.parameters.means)


def test_chains_in_different_modes_are_told(two_ways):
    assert two_ways.status is Status.MULTIMODAL
    assert int(two_ways.tree["fit/n_modes"]) == 2
    assert str(two_ways.status) in repr(two_ways)


@pytest.mark.parametrize(
    ("shares", "chains", "expected"),
    [
        ([1.0], 4, [4]),
        ([0.5, 0.5], 4, [2, 2]),
        ([0.9, 0.1], 4, [3, 1]),
        ([0.99, 0.01], 4, [4, 0]),
        ([0.7, 0.2, 0.1], 4, [2, 1, 1]),
        ([0.4, 0.3, 0.2, 0.1], 2, [1, 1, 0, 0]),
        ([0.3, 0.7], 1, [0, 1]),
    ],
)
def test_every_mode_that_matters_gets_a_chain(shares, chains, expected):
    from bayesgmm.inference.sampling.chains import chains_by_mode

    assert chains_by_mode(np.array(shares), chains).tolist() == expected


def test_laplace_says_when_it_does_not_hold(faithful):
    spec = bg.MixtureSpec(6, "diag", bg.Priors(weights=1.0))
    with pytest.warns(bg.FitWarning, match="Pareto k-hat"):
        fit = bg.fit(spec, faithful[:60], method="laplace", seed=1)
    assert fit.status is Status.UNRELIABLE


@pytest.mark.parametrize(("limit", "value"), [("K_HAT_LIMIT", -10.0), ("FEWEST_EFFECTIVE", 10**9)])
def test_laplace_is_judged_by_k_hat_and_by_effective_draws(limit, value, faithful, monkeypatch):
    fit = bg.fit(bg.MixtureSpec(1), faithful, method="laplace", seed=1)
    assert fit.status is Status.CONVERGED and "Mode and curvature hold" in repr(fit)
    weights = np.exp(fit.tree["fit/proposal_log_weights"].values)
    np.testing.assert_allclose(weights.sum(), 1)
    ess = float(fit.tree["fit/weight_ess"])
    np.testing.assert_allclose(ess, 1 / (weights**2).sum())
    assert 1000 <= ess <= len(weights)
    assert f"{ess:.0f} effective draws" in repr(fit)
    monkeypatch.setattr(laplace, limit, value)
    with pytest.warns(bg.FitWarning, match="Mode and curvature do not"):
        fit = bg.fit(bg.MixtureSpec(1), faithful, method="laplace", seed=1)
    assert fit.status is Status.UNRELIABLE and "do not hold" in repr(fit)


def test_nearly_collinear_features_bend_nothing():
    """Correlations of .9999: with ratios of the factor itself as coordinates there were 50
    divergences in one run, and 18 steps a draw."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(300, 2))
    others = [z[:, 0] + 0.01 * z[:, 1], z[:, 0] + 0.01 * rng.normal(size=300)]
    x = np.column_stack([z[:, 0], *others])
    fit = bg.fit(bg.MixtureSpec(1), x, method="nuts", seed=1)
    assert fit.status is Status.CONVERGED
    assert not fit.tree["sample_stats/diverging"].any()
    assert fit.tree["sample_stats/n_steps"].mean() < 10


@pytest.mark.parametrize("covariance", ["full", "spherical"])
def test_many_values_are_the_values_of_each(covariance, faithful):
    """On few rows, by a compiled loop, and on more than one chunk, where the rows are shared."""
    rng = np.random.default_rng(1)
    for rows in (faithful.values, np.tile(faithful.values, (64, 1))):
        density = bg.LogPosterior(bg.MixtureSpec(2, covariance), rows, cores=2)
        theta = rng.normal(size=(3, 200, density.size))
        found = density.values(theta)
        assert found.shape == (3, 200)
        for place in ((0, 0), (1, 56), (2, 199)):
            assert found[place] == density.value(theta[place])


@pytest.mark.slow
@pytest.mark.parametrize("draws", [10, 1000])
def test_laplace_evaluates_a_dear_density_no_more_than_four_times_a_draw(
    draws, faithful, monkeypatch
):
    """Where the weights are bad it would take 20,000 of a cheap one."""
    asked = []
    values = bg.LogPosterior.values

    def counted(density, theta):
        asked.append(len(theta))
        return values(density, theta)

    monkeypatch.setattr(bg.LogPosterior, "values", counted)
    spec = bg.MixtureSpec(6, "diag", bg.Priors(weights=1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bg.fit(spec, faithful[:60], method="laplace", seed=1, draws=draws)
        cheap, asked[:] = sum(asked), []
        monkeypatch.setattr(laplace, "_WORK", 0)
        bg.fit(spec, faithful[:60], method="laplace", seed=1, draws=draws)
    assert sum(asked) <= max(4 * draws, 2000) < cheap <= 20_000


def test_resampling_is_in_proportion_to_weights():
    """The sd of a target wider than its proposals: draws agree with all weighted proposals, which
    are right, and what was done before, taking each proposal once at most, does not."""
    rng = np.random.default_rng(1)
    n, draws, sd = 4000, 1000, 1.3
    by_weight, once, by_all = [], [], []
    for _ in range(100):
        theta = rng.normal(size=n)
        weights, k_hat = laplace.smoothed_weights(0.5 * theta**2 * (1 - 1 / sd**2))
        assert k_hat < laplace.K_HAT_LIMIT
        kept = laplace.resampled(np.exp(weights), draws, rng)
        counts = np.bincount(kept, minlength=n) - draws * np.exp(weights)
        assert np.abs(counts).max() < 1  # rounded up or down
        by_all.append(np.exp(weights) @ theta**2)
        by_weight.append((theta[kept] ** 2).mean())
        top = np.argpartition(-(weights + rng.gumbel(size=n)), draws)[:draws]
        once.append((theta[top] ** 2).mean())
    for found, right in ((by_weight, True), (once, False)):
        gap = np.subtract(found, by_all)
        assert (abs(gap.mean()) < ERRORS * gap.std(ddof=1) / 10) == right
    assert abs(np.mean(by_all) - sd**2) < ERRORS * np.std(by_all, ddof=1) / 10


def test_student_mixtures_have_scipys_density_and_their_own_draws():
    from scipy import stats

    rng = np.random.default_rng(2)
    factors = np.stack([np.array([[1.0, 0.0], [0.5, 0.8]]), 2 * np.eye(2)])
    means = np.array([[0.0, 1.0], [2.0, -1.0]])
    q = StudentMixture(np.array([0.7, 0.3]), means, factors, np.array([NORMAL, 5.0]))
    theta = q.simulate(20_000, rng)
    normal = stats.multivariate_normal(means[0], factors[0] @ factors[0].T)
    student = stats.multivariate_t(means[1], factors[1] @ factors[1].T, df=5)
    near = theta[:100]
    expected = np.log(0.7 * normal.pdf(near) + 0.3 * student.pdf(near))
    np.testing.assert_allclose(q.log_density(near), expected, atol=1e-3)
    # Draws that have that density integrate another one, of lighter tails, to one.
    ratio = normal.pdf(theta) / np.exp(q.log_density(theta))
    assert abs(ratio.mean() - 1) < ERRORS * ratio.std() / np.sqrt(len(ratio))


def test_an_adapted_proposal_is_nearer_to_its_target():
    """A normal elsewhere and wider: weights become more even; with no draws nothing changes."""
    from scipy import stats

    rng = np.random.default_rng(3)
    target = stats.multivariate_normal([1.0, 0.0, -1.0], np.diag([4.0, 1.0, 0.25]))
    q = StudentMixture(np.ones(1), np.zeros((1, 3)), np.eye(3)[None], np.full(1, 5.0))

    def weighted(proposal):
        theta = proposal.simulate(4000, rng)
        weights = target.pdf(theta) / np.exp(proposal.log_density(theta))
        return theta, weights / weights.sum()

    theta, weights = weighted(q)
    adapted = q.adapted(theta, weights)
    _, after = weighted(adapted)
    assert effective_number(after) > 2 * effective_number(weights)
    np.testing.assert_allclose(adapted.means[0], target.mean, atol=0.2)
    # One draw, of a prior worth P (P + 1) / 4 = 3: it can move a variance by no more than a share.
    one = q.adapted(theta[:1], np.ones(1))
    assert np.linalg.det(one.factors[0]) > 0.3


def test_sparse_weights_can_be_sampled(galaxies):
    """Their density has no bound in the corners: components empty and fill again, and steps do not
    diverge.  Whether so few draws agree is the luck of their seed; where they do not it is told."""
    spec = bg.MixtureSpec(4, priors=bg.Priors(weights=0.2))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit = bg.fit(spec, galaxies, method="nuts", seed=1, draws=200, tune=300, chains=2)
    assert fit.status in VERDICTS
    assert bool(told) == (not fit.status.ok)
    for name in ("weights", "means", "scales"):
        assert np.isfinite(getattr(fit.parameters, name)).all()
    assert (fit.parameters.weights > 0).all()
    smallest = fit.parameters.weights.min(axis=-1)
    assert smallest.min() < 1 / 82 < smallest.max()  # of 82 rows less than one has it, or more
    diverging = fit.tree["sample_stats"].to_dataset().get("diverging")
    assert diverging is None or diverging.mean() <= MANY_DIVERGENCES


@pytest.mark.slow
def test_interrupted_sampling_keeps_what_was_drawn(faithful, monkeypatch):
    """A KeyboardInterrupt in the middle gives a fit of the draws made so far."""
    import time

    import nutpie

    original = nutpie.sample

    class Interrupted:
        def __init__(self, sampler):
            self.sampler = sampler

        def wait(self):
            time.sleep(1.5)
            raise KeyboardInterrupt

        def abort(self):
            return self.sampler.abort()

    monkeypatch.setattr(nutpie, "sample", lambda *a, **k: Interrupted(original(*a, **k)))
    with pytest.warns(bg.FitWarning, match="interrupted"):
        fit = bg.fit(bg.MixtureSpec(2), faithful, method="nuts", seed=1, draws=500_000, chains=2)
    chains, draws = fit.parameters.batch_shape
    assert fit.status is Status.INTERRUPTED
    assert chains >= 1
    assert 2 <= draws < 500_000
    assert np.all(np.isfinite(fit.parameters.means))


@pytest.mark.parametrize(
    ("lengths", "kept"), [((9, 9, 2), (2, 9)), ((9, 8, 8), (3, 8)), ((9, 2, 2), (1, 9))]
)
def test_chains_cut_short_keep_most_of_what_was_drawn(lengths, kept, faithful, monkeypatch):
    def cut(density, mode, settings, options):
        made = [
            chains.Chain(
                np.zeros((n, density.size)),
                {name: np.zeros(n) for name in chains.SAMPLER_STATISTICS},
            )
            for n in lengths
        ]
        return made, Status.INTERRUPTED

    monkeypatch.setattr(chains, "_from_mode", cut)
    density, modes, _ = prepare(bg.MixtureSpec(1), bg.Observations(faithful), Run(seed=1))
    settings = {"draws": 9, "tune": 1, "chains": 3, "cores": 1, "seed": 1}
    drawn = chains.run_chains(density, modes, settings, None, False)
    assert drawn.theta.shape[:2] == drawn.statistics["lp"].shape == kept


@pytest.mark.parametrize(("failing", "left"), [(2, 2), (4, 0)])
def test_a_chain_that_fails_does_not_lose_the_others(failing, left, faithful, monkeypatch):
    """Starts that are not finite in the run of all three chains, then of the first alone."""
    runs = []
    sample = chains._sample

    def counted(*arguments):
        runs.append(arguments)
        return sample(*arguments)

    def broken(density, main, initial_point):
        def start(seed):
            return np.full(density.size, np.nan) if len(runs) <= failing else initial_point(seed)

        return nutpie_bridge.whitened_model(density, main, start)

    monkeypatch.setattr(chains, "_sample", counted)
    monkeypatch.setattr(chains, "whitened_model", broken)
    options = {"method": "nuts", "seed": 1, "draws": 100, "tune": 100, "chains": 3, "cores": 1}
    if not left:
        with pytest.raises(bg.FitError, match=r"^Sampling failed in every chain: [^\n]*$"):
            bg.fit(bg.MixtureSpec(2), faithful, **options)
        return
    with pytest.warns(bg.FitWarning, match="A chain failed"):
        fit = bg.fit(bg.MixtureSpec(2), faithful, **options)
    assert fit.status is Status.CHAIN_LOST
    assert fit.parameters.batch_shape == (left, 100)


def test_nutpies_internal_class_still_fits_and_the_public_way_gives_the_same(faithful, monkeypatch):
    """Fails loudly where a new nutpie changes its class; the fallback then still works."""
    options = {"method": "nuts", "seed": 5, "draws": 100, "tune": 100, "chains": 1}
    used = []
    inner = nutpie_bridge._internal_model

    def watched(*arguments):
        used.append(inner(*arguments))
        return used[-1]

    monkeypatch.setattr(nutpie_bridge, "_internal_model", watched)
    fast = bg.fit(bg.MixtureSpec(2), faithful, **options)
    assert len(used) == 1

    def refuse(*arguments):
        raise TypeError("changed")

    monkeypatch.setattr(nutpie_bridge, "_internal_model", refuse)
    public = bg.fit(bg.MixtureSpec(2), faithful, **options)
    assert np.abs(z_scores(public, fast)).max() < ERRORS


@pytest.mark.slow
def test_gradient_threads_sample_the_same_posterior(blobs, monkeypatch):
    """One chain on two cores runs its rows on threads, which add in another order: the same
    density to rounding at every point, and after some steps another chain of the same posterior."""
    _, x, _ = blobs
    options = {"method": "nuts", "seed": 5, "draws": 400, "tune": 200, "chains": 1}
    one = bg.fit(bg.MixtureSpec(3), x, cores=1, **options)
    used = []
    whitened, public = chains.whitened_model, nutpie_bridge._public_model

    def watched(density, mode, initial_point):
        used.extend((density, mode))
        return whitened(density, mode, initial_point)

    def watched_public(size, value_and_grad, initial_point):
        used.append(value_and_grad)
        return public(size, value_and_grad, initial_point)

    monkeypatch.setattr(chains, "whitened_model", watched)
    monkeypatch.setattr(nutpie_bridge, "_public_model", watched_public)
    for module in ("expectation.rows", "density.log_posterior"):
        monkeypatch.setattr(f"bayesgmm.{module}.CHUNK", 100)
    two = bg.fit(bg.MixtureSpec(3), x, cores=2, **options)
    density, mode, threaded = used
    whole = nutpie_bridge.Whitened.of(density, mode)
    for z in np.random.default_rng(0).standard_normal((20, density.size)):
        gradient = np.empty(density.size)
        value = nutpie_bridge.evaluate_whitened(whole, z, gradient)
        np.testing.assert_allclose(threaded(z)[0], value, rtol=1e-12)
        np.testing.assert_allclose(threaded(z)[1], gradient, atol=1e-11 * np.abs(value))
    assert np.abs(z_scores(one, two)).max() < ERRORS


@pytest.mark.parametrize("options", [{"draws": 0}, {"engine": "stan"}, {"chains": 0}])
def test_bad_sampling_options_are_refused(options, faithful):
    with pytest.raises(bg.SpecError, match=next(iter(options))):
        bg.fit(bg.MixtureSpec(2), faithful, method="nuts", **options)


def test_halves_of_a_chain_that_stand_still_apart_do_not_agree():
    from bayesgmm.inference.convergence import r_hat_and_ess

    draws = np.repeat([0.0, 1.0], 10)[None, :, None]
    assert r_hat_and_ess(draws)[0] == np.inf
