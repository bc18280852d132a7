"""Programs that are differentiated: for each a function to one number, and its arguments."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.scipy.special as sp
import numpy as np
from jax import lax
from jax.custom_derivatives import linear_call

RNG = np.random.default_rng(0)
X, Y = (RNG.standard_normal((3, 4)) for _ in range(2))
V = RNG.uniform(0.1, 0.9, (3, 4))
W = 0.4 * RNG.standard_normal((4, 4))
A = RNG.standard_normal((3, 3))
SPD = A @ A.T + np.eye(3)
IMAGES, KERNEL = RNG.standard_normal((2, 3, 6, 6)), RNG.standard_normal((4, 3, 3, 3))
LABELS = np.asarray([0, 2, 1])
KEY = jax.random.key(0)


def squared(function, *arrays, **options):
    """The sum of the squares of what a function returns: no slope of it is 1."""
    return sum(jnp.sum(jnp.abs(y) ** 2) for y in jax.tree.leaves(function(*arrays, **options)))


def of(function, *arrays, **options):
    return partial(squared, partial(function, **options)), arrays


UNARY = (
    *(
        "sin",
        "cos",
        "tan",
        "tanh",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "log2",
        "sqrt",
        "cbrt",
        "square",
    ),
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arctanh", "abs", "negative"),
    *("reciprocal", "sinc", "floor", "sign", "positive"),
)
REDUCTIONS = (
    "sum",
    "mean",
    "var",
    "std",
    "prod",
    "max",
    "min",
    "cumsum",
    "cumprod",
    "sort",
    "median",
)
ACTIVATIONS = (
    "relu",
    "gelu",
    "silu",
    "softplus",
    "sigmoid",
    "elu",
    "softmax",
    "log_softmax",
    "logsumexp",
)
SPECIAL = ("gammaln", "digamma", "erf", "erfc", "erfinv", "i0e", "i1e", "ndtri", "log_ndtr", "entr")
OF_TWO = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "arctan2",
    "maximum",
    "minimum",
    "hypot",
)

ELEMENTS = {
    **{name: of(getattr(jnp, name), V) for name in UNARY},
    "arccosh": of(jnp.arccosh, 1 + V),
    **{f"nn.{name}": of(getattr(jax.nn, name), X) for name in ACTIVATIONS},
    **{f"sp.{name}": of(getattr(sp, name), V) for name in SPECIAL},
    **{name: of(getattr(jnp, name), V, Y) for name in OF_TWO},
    "mod": of(jnp.mod, X, V),
    "integer_pow": of(lambda x: x**3 + x**-2, V),
    "rsqrt": of(lax.rsqrt, V),
    "ldexp": of(lambda x: jnp.ldexp(x, jnp.asarray([0, 1, -2, 3])), V),
    "clamp": of(jnp.clip, X, min=-0.5, max=0.5),
    "where": of(lambda x, y: jnp.where(x > 0, x * y, y), X, Y),
    "select_n": of(lambda x, y: lax.select_n(jnp.asarray([[0, 1, 2, 1]] * 3), x, y, x * y), X, Y),
    "gammainc": of(sp.gammainc, V + 1, V.T.reshape(3, 4)),
    "polygamma": of(partial(sp.polygamma, 2), V + 1),
    "complex": of(lambda x, y: jnp.exp(lax.complex(x, y)) * jnp.conj(x + 2j * y), X, Y),
    "parts": of(lambda x, y: lax.real(lax.complex(x, y) ** 2) * lax.imag(2j * x), X, Y),
    "barrier": of(lambda x, y: lax.optimization_barrier((x * y, y))[0], X, Y),
    "cast": of(lambda x: x.astype(jnp.float32).astype(jnp.float64) * x, X),
    "stop_gradient": of(lambda x: lax.stop_gradient(x) * x, X),
}
GROUPS = np.asarray([2, 0, 1])
SUMS = {
    "ragged_dot": of(lambda x, w: lax.ragged_dot(x, w, GROUPS), X, np.stack([W, W.T, W @ W])),
    "ragged_dot of some rows": of(
        lambda x, w: lax.ragged_dot(x, w, GROUPS[:2]), X, np.stack([W, W.T])
    ),
    **{name: of(getattr(jnp, name), X) for name in REDUCTIONS},
    **{f"{name} of columns": of(getattr(jnp, name), X, axis=0) for name in REDUCTIONS},
    "norm": of(jnp.linalg.norm, X),
    "cumlogsumexp": of(partial(lax.cumlogsumexp, axis=1), X),
    "cummax": of(partial(lax.cummax, axis=1, reverse=True), X),
    "einsum": of(partial(jnp.einsum, "bi,io,ci->boc"), X, W, Y),
    "batched product": of(partial(jnp.einsum, "bi,bij,bj->bi"), X, np.stack([W] * 3), Y),
    "product with a mask": of(lambda x: jnp.matmul(x > 0, x.T), X),
    "tensordot": of(partial(jnp.tensordot, axes=2), X, Y),
    "conv": of(
        partial(lax.conv_general_dilated, window_strides=(2, 1), padding="SAME"), IMAGES, KERNEL
    ),
    "max pool": of(lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2), (1, 2), "VALID"), X),
    "sum pool": of(lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), "SAME"), X),
    "fft": of(jnp.fft.fft, X),
    "rfft2": of(jnp.fft.rfft2, X),
    "irfft": of(jnp.fft.irfft, X),
    "top_k": of(lambda x: lax.top_k(x, 2)[0], X),
    "approx_top_k": of(lambda x: lax.approx_max_k(x, 2)[0], X),
}
MOVES = {
    "gather": of(lambda x: x[jnp.asarray([0, 2, 2])], X),
    "take_along_axis": of(lambda x: jnp.take_along_axis(x, LABELS[:, None], 1), X),
    "set": of(lambda x: x.at[jnp.asarray([0, 2])].set(2 * x[1]), X),
    "add": of(lambda x: x.at[jnp.asarray([0, 2, 2])].add(2 * x[1]), X),
    "multiply": of(lambda x: x.at[jnp.asarray([0, 2])].multiply(x[1], unique_indices=True), X),
    "max": of(lambda x: x.at[jnp.asarray([0, 2])].max(x[1]), X),
    "pad": of(lambda x: jnp.pad(x, ((1, 2), (0, 1)), constant_values=x[0, 0]), X),
    "reshape": of(lambda x: x.reshape(4, 3).T[::-1, :, None].squeeze(2), X),
    "concatenate": of(lambda x: jnp.concatenate([x, 2 * x, x**2], axis=1), X),
    "stack": of(lambda x: jnp.stack([x, 2 * x], axis=1), X),
    "split": of(lambda x: jnp.split(x, 2, axis=1)[1], X),
    "unstack": of(lambda x: jnp.unstack(x, axis=1)[1:3], X),
    "tile": of(lambda x: jnp.tile(x, (2, 1)), X),
    "slice": of(lambda x: x[1:, ::2], X),
    "dynamic_slice": of(lambda x: lax.dynamic_slice(x, (1, 1), (2, 2)), X),
    "dynamic_update_slice": of(lambda x: lax.dynamic_update_slice(x, x[:1, :1] ** 2, (1, 1)), X),
    "sort with values": of(lambda x, y: lax.sort((x, y), num_keys=1), X, Y),
    "triu": of(jnp.triu, X),
    "roll": of(partial(jnp.roll, shift=1, axis=0), X),
}


def first_eigen(a):
    w, v = jnp.linalg.eigh(a)
    return w[0] * v[:, 0] ** 3


def cubes_of_svd(a):
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    return u**3, s, vt**3


def cubes_of_qr(a):
    q, r = jnp.linalg.qr(a)
    return q**3, r


def complex_of(function, a, b):
    """The sizes of a function's outputs at a complex matrix: the phase of a vector is not told."""
    return [jnp.real(y * jnp.conj(y)) for y in jax.tree.leaves(function(lax.complex(a, b)))]


def positive(z):
    return z @ z.conj().T + jnp.eye(len(z))


COMPLEX = {
    "complex cholesky": lambda z: jnp.linalg.cholesky(positive(z)),
    "complex sizes": lambda z: jnp.abs(z) ** 0.5,
    "complex solve": lambda z: jnp.linalg.solve(z, A),
    "complex slogdet": lambda z: jnp.linalg.slogdet(z)[1],
    "complex eigh": lambda z: jnp.linalg.eigh(positive(z)),
    "complex eigenvalues": jnp.linalg.eigvals,
    "complex svd": lambda z: jnp.linalg.svd(z[:, :2], full_matrices=False),
    "complex singular values": lambda z: jnp.linalg.svd(z[:2], compute_uv=False),
    "complex qr": lambda z: jnp.linalg.qr(z[:, :2]),
    "complex wide qr": lambda z: jnp.linalg.qr(z[:2]),
    "complex lu": lambda z: jax.scipy.linalg.lu(z)[1:],
    "complex triangular solve": partial(jax.scipy.linalg.solve_triangular, b=A, trans="C"),
}


MATRICES = {
    **{name: of(partial(complex_of, function), A, A @ A / 3) for name, function in COMPLEX.items()},
    "cholesky": of(jnp.linalg.cholesky, SPD),
    "solve": of(jnp.linalg.solve, SPD, A),
    "inv": of(jnp.linalg.inv, SPD),
    "det": of(jnp.linalg.det, SPD),
    "slogdet": of(lambda a: jnp.linalg.slogdet(a)[1], SPD),
    "eigh": of(first_eigen, SPD),
    "svd": of(cubes_of_svd, X),
    "singular values": of(partial(jnp.linalg.svd, compute_uv=False), X),
    "qr": of(cubes_of_qr, X.T),
    "lu": of(lambda a: jax.scipy.linalg.lu(a)[1:], X),
    "triangular solve": of(partial(jax.scipy.linalg.solve_triangular, trans=1), SPD, A),
    "cho_solve": of(lambda a: jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(a), True), A), SPD),
    "pinv": of(jnp.linalg.pinv, X),
    "expm": of(jax.scipy.linalg.expm, A),
    "conjugate gradients": of(lambda b: jax.scipy.sparse.linalg.cg(lambda v: SPD @ v, b)[0], A[0]),
}


def tanh_step(w, h, x):
    h = jnp.tanh(x + h @ w)
    return h, 2 * h


LOOPS = {
    "scan": of(lambda w, x, h: lax.scan(partial(tanh_step, w), h, x), W, X, V[0]),
    "scan, last alone": of(lambda w, x: lax.scan(partial(tanh_step, w), jnp.ones(4), x)[0], W, X),
    "scan, outputs alone": of(
        lambda w, x: lax.scan(partial(tanh_step, w), jnp.ones(4), x)[1], W, X
    ),
    "scan back": of(
        lambda w, x: lax.scan(partial(tanh_step, w), jnp.ones(4), x, reverse=True), W, X
    ),
    "scan of nothing": of(
        lambda w, h: lax.scan(partial(tanh_step, w), h, jnp.ones((0, 4))), W, V[0]
    ),
    "scan, unrolled": of(
        lambda w, x: lax.scan(partial(tanh_step, w), jnp.ones(4), x, unroll=2), W, X
    ),
    "scan with a counter": of(
        lambda x: lax.scan(lambda c, z: ((c[0] + 1, c[1] * z + c[0]), c[1]), (0, jnp.ones(4)), x)[
            1
        ],
        X,
    ),
    "scan with its own constant": of(
        lambda w, x: lax.scan(lambda h, z: (h * jnp.exp(w).sum() / 50 + z, h), jnp.zeros(4), x)[1],
        W,
        X,
    ),
    "scan in scan": of(
        lambda w, x: lax.scan(
            lambda h, z: (
                lax.scan(lambda c, _: (jnp.tanh(c @ w + z), None), h, None, length=3)[0],
                None,
            ),
            jnp.ones(4),
            x,
        )[0],
        W,
        X,
    ),
    "fori_loop": of(lambda x: lax.fori_loop(0, 5, lambda i, c: jnp.sin(c) * i + c, x), X),
    "map": of(lambda x, w: lax.map(lambda row: jnp.sin(row @ w), x), X, W),
    "associative_scan": of(partial(lax.associative_scan, jnp.multiply), X),
    "cond": of(
        lambda x, y: lax.cond(
            x.sum() > 0, lambda a, b: jnp.sin(a) * b, lambda a, b: a**2 + b, x, y
        ),
        X,
        Y,
    ),
    "switch": of(
        lambda x, y: lax.switch(
            2,
            [lambda a, b: a * b, lambda a, b: a**2 - b, lambda a, b: jnp.exp(jnp.sin(a)) * b],
            x,
            y,
        ),
        X,
        Y,
    ),
    "cond in scan": of(
        lambda x, w: lax.scan(
            lambda c, z: (lax.cond(z.sum() > 0, lambda c: jnp.sin(c @ w), lambda c: 2 * c, c), c),
            jnp.ones(4),
            x,
        )[1],
        X,
        W,
    ),
    "while without a slope": of(
        lambda x: x * lax.while_loop(lambda n: n < 5, lambda n: n + 2, 0), X
    ),
}


@jax.custom_vjp
def tripled(x, y):
    return x * y


tripled.defvjp(lambda x, y: (x * y, (x, y)), lambda res, bar: (3 * bar * res[1], bar * res[0]))


@jax.custom_jvp
def doubled(x, y):
    return x * y, jnp.sin(x)


@doubled.defjvp
def doubled_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return doubled(x, y), (2 * dx * y + x * dy, dx * jnp.cos(x))


def scaled_twice(r, x):
    return linear_call(lambda r, x: r * x * V, lambda r, bar: r * bar * V, r, x)


def roots(a):
    """y^3 = a and y z = 1, with something beside."""

    def equations(both):
        return {"y": both["y"] ** 3 - a, "z": both["y"] * both["z"] - 1}

    def solve(_, guess):
        return {"y": jnp.cbrt(a), "z": 1 / jnp.cbrt(a)}, a + guess["y"]

    def tangent_solve(linear, bar):
        ones = jnp.ones_like(bar["y"])
        dy, dz = {"y": ones, "z": 0 * ones}, {"y": 0 * ones, "z": ones}
        of_y, of_z = linear(dy), linear(dz)
        y = bar["y"] / of_y["y"]
        return {"y": y, "z": (bar["z"] - of_y["z"] * y) / of_z["z"]}

    found, _ = lax.custom_root(equations, {"y": a, "z": a}, solve, tangent_solve, has_aux=True)
    return found["y"] * jnp.sin(found["z"])


CALLS = {
    "jit": of(jax.jit(lambda x, w: jnp.sin(x @ w)), X, W),
    "checkpoint": of(jax.checkpoint(lambda x, w: jnp.sin(x @ w)), X, W),
    "scan of a checkpoint": of(
        lambda w, x: lax.scan(jax.checkpoint(partial(tanh_step, w)), jnp.zeros(4), x), W, X
    ),
    "custom_vjp": of(tripled, X, Y),
    "custom_jvp": of(doubled, X, Y),
    "custom_jvp, one output": of(lambda x, y: doubled(x, y)[0], X, Y),
    "custom rules under vmap": of(jax.vmap(lambda x, y: tripled(x, y) + doubled(y, x)[0]), X, Y),
    "samples": of(lambda a: jax.random.gamma(KEY, a) + jax.random.normal(KEY, a.shape) * a, V + 1),
    "log samples": of(lambda a: jax.random.loggamma(KEY, a), V),
    "vmap": of(jax.vmap(lambda x, y: x @ y), X, Y),
    "linear call": of(lambda x: scaled_twice(V, x) * x, V + 1),
    "root of several": of(roots, V + 2),
    "root": of(
        lambda a: lax.custom_root(
            lambda y: y**3 - a,
            1.0,
            lambda f, y: lax.fori_loop(0, 30, lambda _, y: y - f(y) / (3 * y**2), y),
            lambda g, y: y / g(1.0),
        ),
        2.0,
    ),
}
BEYOND = {
    "residuals of a linear call": of(lambda r, x: scaled_twice(r, x) * r, V, V + 1),
    "sign of complex": of(lambda a, b: jnp.real(lax.sign(lax.complex(a, b)) * (1 + 2j)), X, Y),
    "nextafter": of(lambda x, y: lax.nextafter(x, 1 + y) * x, X, Y),
    "zeta": of(lax.zeta, V + 2, V + 1),
    "betainc": of(lax.betainc, V + 1, V.T.reshape(3, 4) + 0.5, V[::-1]),
    "scatter_mul": of(lambda x: x.at[jnp.asarray([0, 2, 2])].multiply(x[1]), X),
}
"""What JAX itself has no derivative of, or a wrong one."""
PROGRAMS = {
    f"{group}: {name}": program
    for group, programs in {
        "elements": ELEMENTS,
        "sums": SUMS,
        "moves": MOVES,
        "matrices": MATRICES,
        "loops": LOOPS,
        "calls": CALLS,
    }.items()
    for name, program in programs.items()
}
