"""All 65,536 numbers of bfloat16 and of float16, through every elementwise op of one argument.

The truth is the definition and its slope in float64. Beside the error of the hand-derived pair
stands that of `jax.vjp` of the idiomatic form in the same dtype, in units of the last place:

    python -m pytest tests/test_sixteen_bits.py -s
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax

from purebp import Op, PurebpError
from purebp.catalog import families
from purebp.compat import enable_x64, jit_once
from reference.precise_gates import INTERVALS
from tests.moving import MOVING

DTYPES: dict[str, Any] = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
MODULES = (jax.nn, lax, jnp)
WITHOUT_TRUTH = {
    "lgamma": "XLA's value is off by an eps, not by an ulp, next to its zeros 1 and 2",
    "bessel_i0e": "the slope cancels for large x, in float64 too",
    "bessel_i1e": "the slope cancels for large x, in float64 too",
}


def is_elementwise(op: Op) -> bool:
    """Whether the op takes one array of any shape, 0-d too, and gives one of that shape."""
    (parameter, *others) = op.signature.parameters
    if others or not parameter.specs or "float32" not in parameter.specs[0].dtypes:
        return False
    try:
        shapes = [jax.eval_shape(op, jnp.zeros(shape)).shape for shape in ((5,), (), (2, 3))]
    except (PurebpError, AttributeError):
        return False
    return shapes == [(5,), (), (2, 3)]


OPS = {
    op.name: op
    for family in ("gates", "activations")
    for op in families()[family]
    if op.name not in MOVING | WITHOUT_TRUTH.keys() and is_elementwise(op)
}


def relu_squared(x: jax.Array) -> jax.Array:
    return jnp.square(jax.nn.relu(x))


def trigamma(x: jax.Array) -> jax.Array:
    return jax.scipy.special.polygamma(1, x)


OTHER_NAMES: dict[str, Callable[[Any], Any]] = {
    "identity": jnp.copy,
    "integer_pow": jnp.square,
    "polygamma": trigamma,
    "round": jnp.round,
    "relu_squared": relu_squared,
    "softsign": jax.nn.soft_sign,
}


def idiomatic(name: str) -> Callable[[Any], Any]:
    """The form of jax.nn, lax or jnp."""
    found = [getattr(module, name) for module in MODULES if hasattr(module, name)]
    return OTHER_NAMES[name] if name in OTHER_NAMES else found[0]


@cache
def numbers(dtype: str) -> np.ndarray:
    """Every finite number of a dtype that is not subnormal, which the processor may flush."""
    every = np.delete(np.arange(2**16, dtype=np.uint16), 2**15).view(DTYPES[dtype])  # not -0
    with np.errstate(invalid="ignore"):  # of signalling NaN
        wide = every.astype(np.float64)
    info = ml_dtypes.finfo(DTYPES[dtype])
    return every[np.isfinite(wide) & ((wide == 0) | (abs(wide) >= float(info.tiny)))]


@cache
def truth(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Value and slope of the definition in float64, for the numbers of each dtype."""

    def both(x: Any) -> Any:
        y, pull = jax.vjp(OPS[name].define, x)
        return y, pull(jnp.ones_like(y))[0]

    points = [numbers(dtype).astype(np.float64) for dtype in DTYPES]
    with enable_x64(True):
        y, slope = (np.asarray(out) for out in jit_once(both)(np.concatenate(points)))
    low, high = INTERVALS.get(name, (-np.inf, np.inf))
    inside = (np.concatenate(points) > low) & (np.concatenate(points) < high)
    y, slope = np.where(inside, y, np.nan), np.where(inside, slope, np.nan)
    end = len(points[0])
    return dict(zip(DTYPES, ((y[:end], slope[:end]), (y[end:], slope[end:])), strict=True))


class Worst(NamedTuple):
    """The largest error in units of the last place, and where it is."""

    ulps: float
    at: float


def worst_error(dtype: str, came: Any, exact: np.ndarray) -> Worst:
    """The largest distance from the truth. Where the truth is nan there is nothing to compare.

    What is beyond the largest number has to be infinite; what is next to the smallest normal one
    may be any number there (the processor flushes what is below it on the way).
    """
    info = ml_dtypes.finfo(DTYPES[dtype])
    came = np.asarray(came).astype(np.float64)
    tiny, largest = float(info.tiny), float(info.max)
    size = np.minimum(abs(numbers(dtype).astype(np.float64)), 200)
    edge = tiny * (8 + size**2) if dtype == "bfloat16" else 0.0  # float16 runs in float32
    with np.errstate(all="ignore"):
        exponent = np.floor(np.log2(np.clip(abs(exact), tiny, largest)))  # subnormals share one
        unit = 2.0 ** (exponent - info.nmant)
        error = abs(came - exact) / unit
        beyond = abs(exact) >= largest + unit / 2
        error = np.where(beyond, np.where(came == np.sign(exact) * np.inf, 0.0, np.inf), error)
        error = np.where(np.isnan(came) | (np.isinf(came) & ~beyond), np.inf, error)
        error = np.where((abs(came) <= edge) & (abs(exact) <= edge), 0.0, error)
        error = np.where(np.isnan(exact), 0.0, error)
    where = int(error.argmax())
    return Worst(float(error[where]), float(numbers(dtype)[where]))


def pulled(op: Op) -> Callable[[Any], Any]:
    def both(x: Any) -> Any:
        y, res = op.fwd(x)
        return y, op.bwd(res, jnp.ones_like(y))[0]

    return both


def by_autodiff(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def both(x: Any) -> Any:
        y, pull = jax.vjp(function, x)
        return y, pull(jnp.ones_like(y))[0]

    return both


BOUND = (0.51, 0.55)
"""In units of the last place: the rounding at the end, and little more."""

LARGER: dict[str, tuple[float, float]] = {
    "reciprocal": (0.51, 2.0),  # the slope is -y^2, and y is rounded
    "sqrt": (0.51, 1.4),  # 1 / (2 y)
    "cbrt": (0.51, 2.1),  # 1 / (3 y^2)
    "tan": (0.51, 1.9),  # 1 + y^2
    "digamma": (2.6, 0.51),  # its zero at 1.46, where XLA's digamma cancels
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPS)
def test_every_number_is_right_and_no_worse_than_autodiff(name: str, dtype: str) -> None:
    functions = (pulled(OPS[name]), by_autodiff(idiomatic(name)))

    def run(x: Any) -> Any:
        return [function(x) for function in functions]

    hand, autodiff = jax.jit(run)(jnp.asarray(numbers(dtype)))
    exact = truth(name)[dtype]
    for place, what in enumerate(("value", "slope")):
        ours = worst_error(dtype, hand[place], exact[place])
        theirs = worst_error(dtype, autodiff[place], exact[place])
        report = f"{name:14} {dtype:8} {what}: {ours.ulps:.3g} ulp; autodiff {theirs.ulps:.3g}"
        print(report)  # noqa: T201 - the table of errors, with -s
        bound = LARGER.get(name, BOUND)[place]
        assert ours.ulps <= bound, f"{what} at {ours.at}"
        assert ours.ulps <= max(theirs.ulps, BOUND[place]), (
            f"{what} at {ours.at}, autodiff is better"
        )


def test_the_ops_are_found_in_the_catalogue() -> None:
    assert {"sigmoid", "gelu", "softplus", "erf_inv", "hard_swish", "atanh"} <= set(OPS)
    assert not {"softmax", "maxout", "add", "cumsum", "sum", "branch", "where"} & set(OPS)


def test_an_error_of_one_unit_is_seen() -> None:
    for dtype, kind in DTYPES.items():
        exact = numbers(dtype).astype(np.float64)
        assert worst_error(dtype, numbers(dtype), exact).ulps == 0
        wrong = numbers(dtype).copy()
        place = int(np.flatnonzero(exact == 1.0)[0])
        wrong[place] = np.nextafter(kind(1), kind(2))
        assert worst_error(dtype, wrong, exact) == Worst(1.0, 1.0)
        wrong[place] = np.nan
        assert worst_error(dtype, wrong, exact) == Worst(np.inf, 1.0)
