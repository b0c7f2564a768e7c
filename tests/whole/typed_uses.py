"""Uses of the public names, good and bad, for the type checker alone (``make types``).

A bad use carries the complaint that is expected of it, and mypy refuses an expectation that
is not met, so that a name that turns into ``Any`` is seen here.
"""

from __future__ import annotations

import bayesgmm as bg

spec = bg.MixtureSpec(n_components=2, covariance="tied-diag")
rows = bg.Observations([[1.0, 2.0], [3.0, 5.0], [2.0, 2.5]])
em: bg.MixtureFit = bg.fit(spec, rows, n_starts=4, reg_covar=1e-6)
draws: bg.MixtureFit = bg.fit(spec, rows, method="nuts", draws=500, engine="pymc")
within: bg.MixtureFit = bg.fit(spec, rows, method=bg.Laplace(draws=100), seed=1)
chosen: bg.Selection = bg.select(rows, range(1, 4), ["full"], sampling=bg.NUTS(chains=2))
partition: bg.Partition = bg.partition(draws)
evidence: bg.Evidence = bg.log_evidence(draws, seed=1)
value: float = em.log_likelihood + evidence.value
name: str = rows.names[0]

bg.fit(spec, rows, draws=500)  # type: ignore[call-overload]
bg.fit(spec, rows, method="em", n_starts="four")  # type: ignore[call-overload]
bg.fit(spec, rows, method="nuts", n_starts=4)  # type: ignore[call-overload]
bg.fit(spec, rows, method="newton")  # type: ignore[call-overload]
bg.fit("two", rows)  # type: ignore[call-overload]
bg.MixtureSpec(2, covariance="round")  # type: ignore[arg-type]
bg.select(rows, sampling={"draws": 500})  # type: ignore[arg-type]
bg.NUTS(speed=3)  # type: ignore[call-arg]
print(bg.MixtureFits)  # type: ignore[attr-defined]
text: str = bg.log_evidence(draws)  # type: ignore[assignment]
