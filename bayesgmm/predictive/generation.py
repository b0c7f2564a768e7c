"""Data from a mixture with a component for every draw and component, millions of rows at a time.

Rows are made in blocks, each with a random stream of its own that depends on the seed and
the block's number only.  So threads may take the blocks in any order, and the same seed
gives the same rows whatever the number of threads and however the rows are cut into
chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.errors import DataError
from bayesgmm.mixture.noise import Noise
from bayesgmm.options import LIMIT, generator, one_of, optional, refuse_beyond_memory

Floats = NDArray[np.float64]

#: What generated data may come as, beside an xarray Dataset.
Frame = Literal["pandas", "polars"]
_BLOCK = 16_384  # rows of one random stream
_SMALLEST = 2.0**-31  # Sobol points have 30 bits; 0 and 1 have no normal quantile


class Cells(NamedTuple):
    """Normals from which rows are drawn: what a row can come from.

    ``edges`` (J,) are cumulative weights, ``draw`` (J,) and ``component`` (J,) say what each
    normal is, ``means`` (J, D) and ``tril`` (J, D, D) its location and shape.  The last, from
    number ``n_normals`` on, are noise, of component -1: uniform from ``means`` on, as wide as the
    diagonals of ``tril``.
    """

    edges: Floats
    draw: NDArray[np.int32]
    component: NDArray[np.int32]
    means: Floats
    tril: Floats
    n_normals: int

    @classmethod
    def of(
        cls,
        weights: Floats,
        means: Floats,
        tril: Floats,
        *,
        draws: NDArray[np.integer],
        noise: Noise | None = None,
    ) -> Cells:
        """From weights (S, K), means (S, K, D) and factors (S, K, D, D) of numbered draws.

        In order of component: neighbours are then alike, which makes Sobol points better.
        """
        s, k, d = means.shape
        draw = np.tile(draws.astype(np.int32), k)
        component = np.repeat(np.arange(k, dtype=np.int32), s)
        shares = weights.T.ravel()
        means = np.swapaxes(means, 0, 1).reshape(-1, d)
        tril = np.swapaxes(tril, 0, 1).reshape(-1, d, d)
        if noise is not None:
            low, high = noise.required_box
            shares = np.append(shares, noise.weight)
            draw = np.append(draw, draws.astype(np.int32))
            component = np.append(component, np.full(s, -1, dtype=np.int32))
            means = np.concatenate([means, np.tile(low, (s, 1))])
            tril = np.concatenate([tril, np.tile(np.diag(high - low), (s, 1, 1))])
        return cls(
            np.cumsum(shares),
            draw,
            component,
            np.ascontiguousarray(means),
            np.ascontiguousarray(tril),
            s * k,
        )

    @property
    def n_features(self) -> int:
        return self.means.shape[1]


def rows(
    cells: Cells, n: int, entropy: list[int], begin: int, end: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Rows ``begin`` to ``end`` of ``n``, and the cell that each came from."""
    x = np.empty((end - begin, cells.n_features))
    cell = np.empty(end - begin, dtype=np.int64)

    def one(block: int) -> None:
        first = block * _BLOCK
        size = min(_BLOCK, n - first)
        rng = generator(np.random.SeedSequence(entropy, spawn_key=(block,)))
        point, made = rng.random(size), rng.standard_normal((size, cells.n_features))
        source = np.empty(size, dtype=np.int64)
        _rows_of_noise(point, cells.edges, cells.means, cells.tril, cells.n_normals, made, source)
        mine = slice(max(begin - first, 0), min(end - first, size))
        put = slice(first + mine.start - begin, first + mine.stop - begin)
        x[put], cell[put] = made[mine], source[mine]

    with one_blas_thread():
        thread_map(one, range(begin // _BLOCK, -(-end // _BLOCK)), available_cores(None))
    return x, cell


def spread_points(cells: Cells, log2_n: int, seed: np.random.Generator) -> Floats:
    """Rows (2^m, D) spread over the distribution: scrambled Sobol points in place of random ones.

    Averages over them are unbiased, and nearer the truth than those over random rows
    (Owen 1997).
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    u = qmc.Sobol(cells.n_features + 1, rng=seed).random_base2(log2_n)
    np.clip(u, _SMALLEST, 1 - _SMALLEST, out=u)
    x = np.ascontiguousarray(ndtri(u[:, 1:]))
    source = np.empty(len(x), dtype=np.int64)
    point = np.ascontiguousarray(u[:, 0])
    _rows_of_noise(point, cells.edges, cells.means, cells.tril, cells.n_normals, x, source)
    return x


@njit(**COMPILED)
def _rows_of_noise(point, edges, means, tril, n_normals, x, source):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Turn white noise ``x`` (N, D) into rows of the cells that ``point`` (N,) falls into."""
    d = x.shape[1]
    total = edges[edges.size - 1]
    for i in range(x.shape[0]):
        u = point[i] * total
        low, high = 0, edges.size - 1
        while low < high:  # the first edge above u
            middle = (low + high) // 2
            if edges[middle] > u:
                high = middle
            else:
                low = middle + 1
        source[i] = low
        if low >= n_normals:
            for a in range(d):
                uniform = 0.5 * math.erfc(-x[i, a] * math.sqrt(0.5))
                x[i, a] = means[low, a] + tril[low, a, a] * uniform
            continue
        for a in range(d - 1, -1, -1):  # from the last, so that noise is read before it is lost
            t = means[low, a]
            for b in range(a + 1):
                t += tril[low, a, b] * x[i, b]
            x[i, a] = t


def generated(
    cells: Cells,
    names: tuple[str, ...],
    n: int,
    *,
    seed: Any,
    frame: str | None,
    chunk: int | None = None,
) -> Iterator[Any]:
    """Data sets of ``chunk`` rows each (all n where there is none), checked before the first."""
    n, frame = LIMIT("n", n), checked_frame(frame)
    size = n if chunk is None else min(chunk, n)
    refuse_beyond_memory(
        f"{'n' if chunk is None else 'chunk'}={size:,} rows",
        8.0 * size * (len(names) + 2),
        "generate_chunks makes any number, a chunk at a time"
        if chunk is None
        else "make chunk smaller",
    )
    taken = next((name for name in names if name in ("component", "draw")), None)
    if frame is not None and taken is not None:
        raise DataError(
            f"A feature is named {taken!r}, which is also a column of generated frames; leave "
            "frame out, which gives a Dataset, or rename the feature before fitting."
        )
    entropy = generator(seed).integers(2**32, size=4).tolist()

    def chunks() -> Iterator[Any]:
        for begin in range(0, n, size):
            end = min(begin + size, n)
            x, cell = rows(cells, n, entropy, begin, end)
            yield _labelled(x, cells.component[cell], cells.draw[cell], begin, names, frame)

    return chunks()


def _labelled(
    x: Floats, component: NDArray[np.int32], draw: NDArray[np.int32], begin: int,
    names: tuple[str, ...], frame: str | None,
) -> Any:  # fmt: skip
    if frame is None:
        return xr.Dataset(
            {
                "x": (("sample", "feature"), x),
                "component": ("sample", component),
                "draw": ("sample", draw),
            },
            coords={"sample": np.arange(begin, begin + len(x)), "feature": list(names)},
        )
    columns: dict[str, NDArray[Any]] = {name: x[:, j] for j, name in enumerate(names)}
    columns |= {"component": component, "draw": draw}
    return framed(columns, range(begin, begin + len(x)), frame, "sample")


def checked_frame(frame: Any) -> Frame | None:
    """The option, before rows are made that nothing could hold."""
    frame = optional(one_of(*get_args(Frame)))("frame", frame)
    if frame == "polars" and find_spec("polars") is None:
        raise DataError("frame='polars' needs polars; pip install 'bayesgmm[polars]'.")
    return frame


def framed(
    columns: dict[str, NDArray[Any]], index: Any, frame: str, name: str | None = None
) -> Any:
    """Columns as a frame of pandas, with row labels of some name, or of polars."""
    if frame == "polars":
        import polars as pl

        return pl.DataFrame(columns)
    import pandas as pd

    return pd.DataFrame(columns, index=pd.Index(index, name=name))
