"""Functions of jax.numpy, jax.nn, jax.lax and jax.scipy: name, function, arguments."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np
from jax import lax

from reference.survey.case import Case


def words(text: str) -> list[str]:
    """The names in a text."""
    return text.split()


RNG = np.random.default_rng(0)
X, Y = (RNG.standard_normal((3, 4)) for _ in range(2))
V, W = (RNG.uniform(0.1, 0.9, (3, 4)) for _ in range(2))
A, B = (RNG.standard_normal((4, 4)) for _ in range(2))
SPD = A @ A.T + 4 * np.eye(4)
ROWS = np.asarray([2, 0, 2])
IMAGES, KERNEL = RNG.standard_normal((2, 6, 6, 3)), RNG.standard_normal((3, 3, 3, 4))

REAL = words(
    """
    abs absolute arcsinh arctan cbrt ceil conj cos cosh deg2rad degrees exp exp2 expm1 fabs fix
    flip fliplr flipud floor imag nan_to_num negative positive rad2deg radians ravel real rint
    sign sin sinc sinh square tan tanh trunc i0 unwrap angle sort max min amax amin mean sum
    nansum nanmean nanmax nanmin nanprod nancumsum nancumprod nanvar nanstd median nanmedian
    prod cumsum cumprod var std ptp average diff ediff1d gradient transpose squeeze trace diag
    diagonal tril triu rot90 atleast_1d atleast_2d atleast_3d cov corrcoef matrix_transpose
    spacing modf
    """
)
POSITIVE = words(
    """
    sqrt log log10 log1p log2 reciprocal arccos arcsin arctanh acos asin atanh
    """
)
OF_TWO = words(
    """
    add subtract multiply maximum minimum fmax fmin hypot arctan2 logaddexp logaddexp2 copysign
    convolve correlate cross dot inner outer kron vdot vecdot matmul append interp polyadd
    polymul polysub concatenate stack hstack vstack dstack column_stack block
    """
)
OF_TWO_POSITIVE = words(
    """
    divide true_divide power float_power mod remainder fmod heaviside divmod
    """
)
NN = words(
    """
    relu relu6 sigmoid softplus sparse_plus soft_sign silu swish log_sigmoid leaky_relu
    hard_sigmoid hard_silu hard_swish hard_tanh elu celu selu gelu squareplus mish glu softmax
    log_softmax logsumexp standardize identity tanh sparse_sigmoid normalize
    """
)
SPECIAL = words(
    """
    gammaln digamma erf erfc erfinv expit logit i0 i0e i1 i1e log_ndtr ndtr ndtri entr
    log_softmax logsumexp softmax loggamma exp1 expi spence gamma sici fresnel
    """
)
LAX = words(
    """
    abs acosh asinh atan bessel_i0e bessel_i1e cbrt cos cosh cumlogsumexp cummax cummin cumprod
    cumsum digamma erf erfc exp exp2 expm1 floor lgamma logistic neg round sign sin sinh square
    tan tanh
    """
)
LAX_OF_TWO = words("add sub mul div max min pow rem atan2 nextafter igamma igammac zeta")
STATS: dict[str, tuple[Any, ...]] = {
    "bernoulli.logpmf": (0.0 + (X > 0), V),
    "beta.logpdf": (V, 1 + V, 2 + W),
    "beta.logcdf": (V, 1 + V, 2 + W),
    "betabinom.logpmf": (2.0 + 0 * V, 5.0 + 0 * V, 1 + V, 1 + W),
    "binom.logpmf": (2.0 + 0 * V, 5.0 + 0 * V, V),
    "cauchy.logpdf": (X, Y, 1 + V),
    "cauchy.cdf": (X, Y, 1 + V),
    "chi2.logpdf": (1 + V, 2 + W),
    "chi2.cdf": (1 + V, 2 + W),
    "dirichlet.logpdf": (np.asarray([0.2, 0.3, 0.5]), np.asarray([1.5, 2.5, 3.5])),
    "expon.logpdf": (V, -W, 1 + W),
    "gamma.logpdf": (V, 1 + W),
    "gamma.cdf": (V, 1 + W),
    "gennorm.logpdf": (X, 1 + V),
    "geom.logpmf": (2.0 + 0 * V, V),
    "gumbel_l.logpdf": (X, Y, 1 + V),
    "gumbel_r.logpdf": (X, Y, 1 + V),
    "gumbel_r.logcdf": (X, Y, 1 + V),
    "laplace.logpdf": (X, Y, 1 + V),
    "laplace.cdf": (X, Y, 1 + V),
    "logistic.logpdf": (X, Y, 1 + V),
    "logistic.ppf": (V, Y, 1 + W),
    "multinomial.logpmf": (np.asarray([1, 2, 3]), 6, np.asarray([0.2, 0.3, 0.5])),
    "multivariate_normal.logpdf": (A[0], B[0], SPD),
    "nbinom.logpmf": (2.0 + 0 * V, 1 + V, W),
    "norm.logpdf": (X, Y, 1 + V),
    "norm.logcdf": (X, Y, 1 + V),
    "norm.ppf": (V, Y, 1 + W),
    "norm.sf": (X, Y, 1 + V),
    "pareto.logpdf": (2 + V, 1 + W),
    "poisson.logpmf": (2.0 + 0 * V, 1 + V),
    "poisson.cdf": (2.0 + 0 * V, 1 + V),
    "t.logpdf": (X, 2 + V),
    "truncnorm.logpdf": (V, -1 - V, 2 + W),
    "uniform.logpdf": (V, -1 - V, 3 + W),
    "vonmises.logpdf": (X, 1 + V),
    "wrapcauchy.logpdf": (V, W),
    "gaussian_kde": (X, Y[:, 0]),
}
LINALG: dict[str, tuple[Any, ...]] = {
    "cholesky": (SPD,),
    "cond": (SPD,),
    "cross": (X[:, :3], Y[:, :3]),
    "det": (A,),
    "diagonal": (A,),
    "eigh": (SPD,),
    "eigvalsh": (SPD,),
    "inv": (A,),
    "lstsq": (A, B[0]),
    "matmul": (A, B),
    "matrix_norm": (X,),
    "matrix_power": (A, 3),
    "multi_dot": ([X, A, B],),
    "norm": (X,),
    "outer": (X[0], Y[0]),
    "pinv": (X,),
    "qr": (A,),
    "slogdet": (A,),
    "solve": (A, B),
    "svd": (X,),
    "svdvals": (X,),
    "tensorinv": (A, 1),
    "tensorsolve": (A, B[0]),
    "trace": (A,),
    "vecdot": (X, Y),
    "vector_norm": (X,),
}


def of_names(prefix: str, module: Any, names: list[str], *args: Any) -> Iterator[Case]:
    """A case for each function of a module that this version has."""
    for name in names:
        if hasattr(module, name):
            yield Case(f"{prefix}.{name}", getattr(module, name), args)


def gathered() -> dict[str, Any]:
    """Functions whose options matter, by name."""
    return {
        "jnp.einsum": (partial(jnp.einsum, "ij,jk,ik->i"), X, A, Y),
        "jnp.tensordot": (partial(jnp.tensordot, axes=2), X, Y),
        "jnp.where": (lambda x, y: jnp.where(x > y, x * y, y), X, Y),
        "jnp.select": (lambda x, y: jnp.select([x > 0, y > 0], [x * y, x], y), X, Y),
        "jnp.piecewise": (lambda x: jnp.piecewise(x, [x > 0], [jnp.sin, jnp.square]), X),
        "jnp.clip": (lambda x: jnp.clip(x, -0.5, 0.5), X),
        "jnp.take": (lambda x: jnp.take(x, ROWS, axis=0), X),
        "jnp.take_along_axis": (lambda x: jnp.take_along_axis(x, ROWS[:, None], 1), X),
        "jnp.partition": (lambda x: jnp.partition(x, 2, axis=1), X),
        "jnp.quantile": (lambda x: jnp.quantile(x, 0.3, axis=1), X),
        "jnp.percentile": (lambda x: jnp.percentile(x, 30, axis=0), X),
        "jnp.roll": (partial(jnp.roll, shift=1, axis=0), X),
        "jnp.repeat": (partial(jnp.repeat, repeats=2, axis=1), X),
        "jnp.tile": (partial(jnp.tile, reps=(2, 3)), X),
        "jnp.pad": (partial(jnp.pad, pad_width=1, mode="reflect"), X),
        "jnp.pad mean": (partial(jnp.pad, pad_width=1, mode="mean"), X),
        "jnp.delete": (lambda x: jnp.delete(x, 1, axis=0), X),
        "jnp.insert": (lambda x, y: jnp.insert(x, 1, y[0], axis=0), X, Y),
        "jnp.polyval": (jnp.polyval, X[0], Y),
        "jnp.polyfit": (lambda y: jnp.polyfit(jnp.arange(4.0), y, 2), X[0]),
        "jnp.linspace": (lambda x, y: jnp.linspace(x, y, 5), X, Y),
        "jnp.geomspace": (lambda x, y: jnp.geomspace(x, 2 + y, 5), V, W),
        "jnp.logspace": (lambda x, y: jnp.logspace(x, y, 4), V, W),
        "jnp.hsplit": (lambda x: jnp.hsplit(x, 2)[1], X),
        "jnp.array_split": (lambda x: jnp.array_split(x, 3, axis=1)[0], X),
        "jnp.cumulative_sum": (partial(jnp.cumulative_sum, axis=1, include_initial=True), X),
        "jnp.trapezoid": (jnp.trapezoid, X, Y),
        "jnp.meshgrid": (jnp.meshgrid, X[0], Y[0]),
        "jnp.apply_along_axis": (partial(jnp.apply_along_axis, jnp.cumsum, 0), X),
        "jnp.ldexp": (lambda x: jnp.ldexp(x, 3), X),
        "jnp.choose": (
            lambda x, y: jnp.choose(jnp.asarray([0, 1, 0, 1]), [x[0], y[0]], mode="clip"),
            X,
            Y,
        ),
        "jnp.put_along_axis": (
            lambda x: jnp.put_along_axis(x, ROWS[:, None], 9.0, axis=1, inplace=False),
            X,
        ),
        "jnp.fft.fft": (jnp.fft.fft, X),
        "jnp.fft.ifft": (jnp.fft.ifft, X),
        "jnp.fft.rfft": (jnp.fft.rfft, X),
        "jnp.fft.irfft": (jnp.fft.irfft, X),
        "jnp.fft.fft2": (jnp.fft.fft2, X),
        "jnp.fft.fftshift": (jnp.fft.fftshift, X),
        "jnp.at.set": (lambda x, y: x.at[ROWS[:2]].set(y[:2] * x[0]), X, Y),
        "jnp.at.add": (lambda x, y: x.at[ROWS].add(y), X, Y),
        "jnp.at.max": (lambda x, y: x.at[ROWS[:2]].max(y[:2]), X, Y),
        "jnp.at.multiply": (lambda x, y: x.at[ROWS[:2]].multiply(y[:2], unique_indices=True), X, Y),
        "jnp.at.power": (lambda x: x.at[0].power(3), V),
        "jnp.vectorize": (jnp.vectorize(jnp.dot, signature="(i),(i)->()"), X, Y),
        "jnp.nanquantile": (lambda x: jnp.nanquantile(x, 0.3), X),
        "jnp.i0 second": (jax.vmap(jax.grad(jnp.i0)), X[0]),
        "jax.ops.segment_sum": (lambda x: jax.ops.segment_sum(x, ROWS, 3), X),
        "jax.ops.segment_max": (lambda x: jax.ops.segment_max(x, ROWS, 3)[ROWS], X),
        "jax.ops.segment_prod": (lambda x: jax.ops.segment_prod(x, jnp.arange(3), 3), V),
        "jax.image.resize": (lambda x: jax.image.resize(x, (2, 4, 9, 3), "bilinear"), IMAGES),
        "jax.image.resize cubic": (lambda x: jax.image.resize(x, (2, 9, 4, 3), "cubic"), IMAGES),
        "jax.nn.dot_product_attention": (
            lambda q, k: jax.nn.dot_product_attention(q, k, q * k, is_causal=True),
            IMAGES,
            IMAGES[::-1],
        ),
        "lax.conv": (
            lambda x, k: lax.conv_general_dilated(
                x,
                k,
                (2, 1),
                "SAME",
                rhs_dilation=(1, 2),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            ),
            IMAGES,
            KERNEL,
        ),
        "lax.conv_transpose": (
            lambda x, k: lax.conv_transpose(x, k, (2, 2), "SAME"),
            IMAGES,
            KERNEL,
        ),
        "lax.reduce_window max": (
            lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
            IMAGES,
        ),
        "lax.reduce_window sum": (
            lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"),
            IMAGES,
        ),
        "lax.top_k": (lambda x: lax.top_k(x, 2)[0], X),
        "lax.sort": (lambda x, y: lax.sort((x, y), num_keys=1), X, Y),
        "lax.dynamic_slice": (lambda x: lax.dynamic_slice(x, (1, 1), (2, 2)), X),
        "lax.dynamic_update_slice": (
            lambda x, y: lax.dynamic_update_slice(x, y[:1, :2], (1, 1)),
            X,
            Y,
        ),
        "lax.associative_scan": (partial(lax.associative_scan, jnp.multiply), X),
        "lax.map": (partial(lax.map, jnp.sin), X),
        "lax.fori_loop": (lambda x: lax.fori_loop(0, 4, lambda i, c: jnp.sin(c) + i * x, x), X),
        "lax.reduce": (lambda x: lax.reduce(x, 0.0, lax.add, (0,)), X),
        "lax.linalg.lu": (lambda a: lax.linalg.lu(a)[0], A),
        "lax.linalg.householder_product": (
            lax.linalg.householder_product,
            A,
            0.5 * B[0],
        ),
        "lax.linalg.tridiagonal_solve": (
            lambda d, x: lax.linalg.tridiagonal_solve(
                jnp.concatenate([jnp.zeros(1), d[1:]]),
                4 + d,
                jnp.concatenate([d[:-1], jnp.zeros(1)]),
                x,
            ),
            X[0],
            A,
        ),
        "lax.betainc": (lax.betainc, 1 + V, 1 + W, V),
        "lax.expand_dims": (lambda x: lax.expand_dims(x, (0, 2)), X),
        "sp.linalg.expm": (jsp.linalg.expm, A),
        "sp.linalg.solve_triangular": (partial(jsp.linalg.solve_triangular, lower=True), SPD, B),
        "sp.linalg.cho_solve": (
            lambda a, b: jsp.linalg.cho_solve(jsp.linalg.cho_factor((a + a.T) / 2), b),
            SPD,
            B,
        ),
        "sp.linalg.lu_solve": (lambda a, b: jsp.linalg.lu_solve(jsp.linalg.lu_factor(a), b), A, B),
        "sp.linalg.lu": (lambda a: jsp.linalg.lu(a)[1:], A),
        "sp.linalg.block_diag": (jsp.linalg.block_diag, A, B),
        "sp.linalg.toeplitz": (jsp.linalg.toeplitz, X[0]),
        "sp.linalg.sqrtm": (lambda a: jnp.real(jsp.linalg.sqrtm(a)), SPD),
        "sp.linalg.eigh_tridiagonal": (
            lambda d, e: jsp.linalg.eigh_tridiagonal(d, e, eigvals_only=True),
            X[0],
            Y[0, :3],
        ),
        "sp.sparse.linalg.cg": (lambda b: jsp.sparse.linalg.cg(lambda v: SPD @ v, b)[0], A[0]),
        "sp.signal.convolve": (jsp.signal.convolve, X, Y),
        "sp.signal.stft": (lambda x: jsp.signal.stft(x, nperseg=4)[2], A.ravel()),
        "sp.fft.dct": (jsp.fft.dct, X),
        "sp.fft.idct": (jsp.fft.idct, X),
        "sp.ndimage.map_coordinates": (
            lambda x, c: jsp.ndimage.map_coordinates(x, [1 + c[0], 2 * c[1]], order=1),
            X,
            V,
        ),
        "sp.integrate.trapezoid": (jsp.integrate.trapezoid, X),
        "sp.special.betainc": (jsp.special.betainc, 1 + V, 1 + W, V),
        "sp.special.betaln": (jsp.special.betaln, 1 + V, 1 + W),
        "sp.special.beta": (jsp.special.beta, 1 + V, 1 + W),
        "sp.special.gammainc": (jsp.special.gammainc, 1 + V, 1 + W),
        "sp.special.gammaincc": (jsp.special.gammaincc, 1 + V, 1 + W),
        "sp.special.polygamma": (lambda x: jsp.special.polygamma(2, x), 1 + V),
        "sp.special.zeta": (lambda q: jsp.special.zeta(3.0, q), 1 + V),
        "sp.special.xlogy": (jsp.special.xlogy, V, W),
        "sp.special.xlog1py": (jsp.special.xlog1py, V, W),
        "sp.special.kl_div": (jsp.special.kl_div, V, W),
        "sp.special.rel_entr": (jsp.special.rel_entr, V, W),
        "sp.special.multigammaln": (lambda x: jsp.special.multigammaln(x, 3), 3 + V),
        "sp.special.poch": (jsp.special.poch, 1 + V, 1 + W),
        "sp.special.hyp1f1": (lambda x: jsp.special.hyp1f1(1.5, 2.5, x), V),
        "sp.special.expn": (lambda x: jsp.special.expn(2, x), V),
        "sp.special.bessel_jn": (lambda x: jsp.special.bessel_jn(x, v=3), 1 + V),
        "random.normal": (lambda m, s: m + s * jax.random.normal(jax.random.key(0), (3, 4)), X, V),
        "random.gamma": (lambda a: jax.random.gamma(jax.random.key(0), a), 1 + V),
        "random.beta": (lambda a, b: jax.random.beta(jax.random.key(0), a, b), 1 + V, 1 + W),
        "random.dirichlet": (lambda a: jax.random.dirichlet(jax.random.key(0), a), 1 + V),
        "random.t": (lambda n: jax.random.t(jax.random.key(0), n), 2 + V),
        "random.exponential": (lambda r: jax.random.exponential(jax.random.key(0), (3, 4)) / r, V),
        "random.truncated_normal": (
            lambda a: jax.random.truncated_normal(jax.random.key(0), -1 - a, 1 + a),
            V,
        ),
        "random.multivariate_normal": (
            lambda m, c: jax.random.multivariate_normal(jax.random.key(0), m, c),
            A[0],
            SPD,
        ),
        "experimental.odeint": (odeint, X[0], 0.3 * A),
    }


def odeint(y: Any, w: Any) -> Any:
    """y' = sin(w y)."""
    from jax.experimental.ode import odeint as solve  # noqa: PLC0415 - an experimental module

    return solve(lambda y, _, w: jnp.sin(w @ y), y, jnp.asarray([0.0, 0.5, 1.0], y.dtype), w)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from of_names("jnp", jnp, REAL, X)
    yield from of_names("jnp", jnp, POSITIVE, V)
    yield from of_names("jnp", jnp, ["arccosh", "acosh"], 1 + V)
    for name in OF_TWO:
        alone = name in {
            "concatenate",
            "stack",
            "hstack",
            "vstack",
            "dstack",
            "column_stack",
            "block",
        }
        function = getattr(jnp, name)
        if name == "interp":
            yield Case("jnp.interp", function, (V, np.arange(4.0), X[0]))
        elif alone:
            yield Case(f"jnp.{name}", partial(of_a_list, function), (X, Y))
        else:
            flat = name in {"convolve", "correlate", "inner", "dot", "interp", "polymul", "matmul"}
            arrays = (X[0], Y[0]) if flat or name.startswith("poly") else (X, Y)
            arrays = (X[:, :3], Y[:, :3]) if name == "cross" else arrays
            yield Case(f"jnp.{name}", function, arrays)
    yield from of_names("jnp", jnp, OF_TWO_POSITIVE, V, W)
    yield from of_names("nn", jax.nn, NN, X)
    yield from of_names("special", jsp.special, SPECIAL, V)
    yield from of_names("lax", lax, [name for name in LAX if name != "acosh"], X)
    yield from of_names("lax", lax, ["acosh", "log", "log1p", "sqrt", "rsqrt"], 1 + V)
    yield from of_names("lax", lax, ["asin", "acos", "atanh", "erf_inv"], V)
    yield from of_names("lax", lax, LAX_OF_TWO, 1 + V, 1.5 + W)
    for name, args in LINALG.items():
        if hasattr(jnp.linalg, name):
            yield Case(f"linalg.{name}", getattr(jnp.linalg, name), args)
    for name, args in STATS.items():
        yield Case(f"stats.{name}", partial(of_stats, name), args)
    for name, (function, *args) in gathered().items():
        yield Case(name, function, tuple(args))


def of_a_list(function: Any, x: Any, y: Any) -> Any:
    """A function that takes a list of arrays."""
    return function([x, y])


def of_stats(name: str, *args: Any) -> Any:
    """A function of jax.scipy.stats."""
    if name == "gaussian_kde":
        return jsp.stats.gaussian_kde(args[0]).logpdf(args[1][:, None])
    distribution, method = name.split(".")
    return getattr(getattr(jsp.stats, distribution), method)(*args)
