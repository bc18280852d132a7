"""Every op against the reference: plain loops in float64, and 50 digits in the tails.

Autodiff has no part in this: the numbers come from formulas that were written twice.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import activations, gates, layers, linalg, losses
from purebp.compat import enable_x64, jit_once
from purebp.gates import sigmoid
from purebp.layers.attention_terms import kept_everywhere
from purebp.op import Op
from purebp.verification.cases import Case, make_args, make_cotangent, variants
from purebp.verification.target import make_target
from reference import activations as plain_activations
from reference import bands as plain_bands
from reference import beta as plain_beta
from reference import complex_numbers as plain_complex_numbers
from reference import eigen_general as plain_eigen_general
from reference import elementwise as plain_elementwise
from reference import factors as plain_factors
from reference import gamma as plain_gamma
from reference import gates as plain_gates
from reference import layers as plain_layers
from reference import linalg as plain_linalg
from reference import lines as plain_lines
from reference import losses as plain_losses
from reference import mixture as plain_mixture
from reference import more_losses as plain_more_losses
from reference import moves
from reference import products as plain_products
from reference import recurrent as plain_recurrent
from reference import remainder as plain_remainder
from reference import sampled as plain_sampled
from reference import scans as plain_scans
from reference import scatters as plain_scatters
from reference import spectral as plain_spectral
from reference import steps as plain_steps
from reference import windows as plain_windows
from reference.backward import BACKWARD
from reference.precise import MP
from reference.precise import PRECISE as PRECISE_REST
from reference.precise_gates import INTERVALS, PRECISE_GATES

FAMILIES = (gates, activations, linalg, layers, losses)
OPS = {op.name: op for family in FAMILIES for op in family.OPS}
PATTERNS = ("normal", "ties", "tails")
Loops = Mapping[str, Callable[..., Any]]


FORWARD: Loops = {
    **plain_gates.DEFINITIONS,
    **plain_elementwise.DEFINITIONS,
    **plain_activations.DEFINITIONS,
    **plain_linalg.DEFINITIONS,
    **plain_spectral.DEFINITIONS,
    **plain_products.DEFINITIONS,
    **plain_factors.DEFINITIONS,
    **plain_layers.DEFINITIONS,
    **plain_lines.DEFINITIONS,
    **plain_losses.DEFINITIONS,
    **plain_more_losses.DEFINITIONS,
    **plain_recurrent.DEFINITIONS,
    **plain_scans.DEFINITIONS,
    **plain_mixture.DEFINITIONS,
    **plain_scatters.DEFINITIONS,
    **plain_sampled.DEFINITIONS,
    **plain_windows.DEFINITIONS,
    **plain_remainder.DEFINITIONS,
    **plain_steps.DEFINITIONS,
    **plain_bands.DEFINITIONS,
    **plain_complex_numbers.DEFINITIONS,
    **plain_eigen_general.DEFINITIONS,
    **plain_gamma.DEFINITIONS,
    **plain_beta.DEFINITIONS,
    **moves.DEFINITIONS,
}
NOISE = {"gaussian_sample": jax.random.normal, "gumbel_softmax": jax.random.gumbel}


def test_every_op_has_a_reference() -> None:
    assert set(OPS) == set(FORWARD) == set(BACKWARD)


def float64(leaf: Any) -> Any:
    """The same numbers in float64 or complex128; labels and keys as they are."""
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return leaf.astype(np.complex128)
    return leaf.astype(np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def for_loops(op: Op, args: tuple[Any, ...], settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments as NumPy arrays; the reference takes dropout's mask or noise, not the key."""
    if op.name in ("dropout", "drop_path"):
        x, key = args
        keep, shape = jnp.float32(1 - settings["rate"]), x.shape
        shape = shape[:1] if op.name == "drop_path" else shape
        return np.asarray(x), np.asarray(jax.random.bernoulli(key, keep, shape))
    if op.name == "dot_product_attention" and settings["rate"]:
        q, k, *_, key = args
        drawn = kept_everywhere(q, k, key, settings["rate"], settings["block"])
        args = (*args[:-1], drawn)
    elif op.name == "dot_product_attention":
        args = (*args[:-1], None)
    if op.name in NOISE:
        *rest, key = args
        draw = partial(NOISE[op.name], shape=rest[0].shape, dtype=jnp.float32)
        return *map(np.asarray, rest), np.asarray(draw(key))
    return jax.tree.map(np.asarray, args)


def assert_agree(came: Any, expected: Any) -> None:
    """Equal trees, shapes and numbers. The loops add in another order, hence the tolerance."""
    pairs = zip(each_leaf(came), each_leaf(expected), strict=True)
    for a, b in pairs:
        assert (a is None) == (b is None)
        if b is not None:
            wide = np.complex128 if np.iscomplexobj(b) else np.float64
            assert a.dtype == wide or not jnp.issubdtype(a.dtype, jnp.inexact)
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13 * np.max(np.abs(b), initial=1))


def each_leaf(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None)


def cotangent_for(case: Case, y: Any) -> Any:
    """A number for each entry of the output, complex where that is."""
    leaves, tree = jax.tree.flatten(y)
    pair = [
        make_cotangent(case._replace(seed=seed), list(map(np.shape, leaves))) for seed in (0, 9)
    ]
    bars = [
        a + 1j * b if np.iscomplexobj(leaf) else a for leaf, a, b in zip(leaves, *pair, strict=True)
    ]
    return jax.tree.unflatten(tree, bars)


def check_op(op: Op, forward: Loops = FORWARD, backward: Loops = BACKWARD) -> int:
    """Compare on every variant of options and shapes; returns how many cases there were."""
    target, count = make_target(op), 0
    for variant in variants(target):
        settings = dict(op.signature.options) | dict(variant.settings)
        plain = dict(variant.settings)

        def run(args: Any, y_bar: Any, op: Op = op, plain: dict[str, Any] = plain) -> Any:
            y, res = op.fwd(*args, **plain)
            return y, op.bwd(res, y_bar)

        with enable_x64(True):
            # The last digits of a draw depend on the program that it is a part of
            compiled = run if op.name in NOISE else jit_once(run)
            for seed, pattern in enumerate(PATTERNS):
                case = Case(variant, pattern, "normal", seed)
                args = jax.tree.map(float64, make_args(target, case))
                loops = for_loops(op, args, settings)
                expected = forward[op.name](*loops, **plain)
                main = expected[0] if op.has_aux else expected
                y_bar = cotangent_for(case, main)
                y, came = compiled(args, y_bar)
                assert_agree(jax.tree.leaves(y), jax.tree.leaves(expected))
                assert_agree(came, backward[op.name](loops, y_bar, **plain))
                count += 1
    return count


@pytest.mark.parametrize("name", OPS)
def test_op_agrees_with_the_loops(name: str) -> None:
    assert check_op(OPS[name]) >= len(PATTERNS)


def doubled(args: Any, y_bar: Any, **options: Any) -> Any:
    return tuple(2 * bar for bar in BACKWARD["tanh"](args, y_bar))


@pytest.mark.parametrize(
    ("forward", "backward"),
    [({"tanh": np.sin}, {"tanh": BACKWARD["tanh"]}), ({"tanh": np.tanh}, {"tanh": doubled})],
    ids=["value", "gradient"],
)
def test_a_difference_is_found(forward: Loops, backward: Loops) -> None:
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_op(OPS["tanh"], forward, backward)


SIZES = (1e-30, 1e-20, 1e-10, 1e-5, 1e-3, 0.1, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8, 13, 20, 30)
TAILS = (40, 60, 80, 100, 104, 200, 700)
POINTS = [sign * size for size in (*SIZES, *TAILS) for sign in (1.0, -1.0)]
NEAR_ONE = [sign * (1 - 2.0**-k) for k in (4, 12, 20) for sign in (1, -1)] + [1 + 2.0**-20]
PRECISE = {**PRECISE_REST, **PRECISE_GATES}
PRECISE_CASES = [
    *((name, {}) for name in PRECISE),
    ("polygamma", {"n": 2}),
    ("elu", {"alpha": 0.3}),
    ("swish", {"beta": 1.5}),
    ("gelu", {"approximate": False}),
    ("squareplus", {"b": 0.5}),
    ("celu", {"alpha": 0.5}),
]
ULPS = {"value": 8, "slope": 4}


def points_of(name: str) -> list[float]:
    """The points at which a function is defined."""
    low, high = INTERVALS.get(name, (-np.inf, np.inf))
    extra = NEAR_ONE if 1 in (high, low) else []
    return [x for x in (*POINTS, *extra) if low < x < high]


def error_in_ulps(came: Any, exact: Any, x: float) -> float:
    """The distance from 50 digits, in units of the last place of the right answer.

    Nothing is asked below the smallest normal number (times 1 + 2|x|, for a factor of x): there
    the processor may flush to zero. What overflows must be an infinity.
    """
    info = np.finfo(came.dtype)
    if abs(exact) > MP.mpf(float(info.max)):
        return 0.0 if np.isinf(came) and np.sign(came) == MP.sign(exact) else np.inf
    if not np.isfinite(came):
        return np.inf
    error = abs(MP.mpf(float(came)) - exact)
    if error <= MP.mpf(float(info.tiny)) * (1 + 2 * abs(x)):
        return 0.0
    return float(error / MP.mpf(float(np.spacing(np.abs(came.dtype.type(exact))))))


def condition(f: Callable[..., Any], x: float, options: Mapping[str, Any]) -> float:
    """|x f'(x) / f(x)|: how many ulps f moves when x moves by one."""
    y = f(x, **options)
    return 0.0 if y == 0 else float(abs(x * MP.diff(lambda t: f(t, **options), x) / y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), PRECISE_CASES, ids=str)
def test_values_and_slopes_are_right_to_a_few_ulps(name: str, options, dtype: str) -> None:
    op = OPS[name]
    points = np.array(points_of(name), dtype)
    with enable_x64(True):
        y, res = op.fwd(jnp.asarray(points), **options)
        (x_bar,) = op.bwd(res, jnp.ones_like(y))
    worst = dict.fromkeys(ULPS, (0.0, 0.0))
    for x, *came in zip(points, np.asarray(y), np.asarray(x_bar), strict=True):
        for what, number, f in zip(ULPS, came, PRECISE[name], strict=True):
            units = error_in_ulps(number, f(float(x), **options), float(x))
            if op.tolerance.conditioned and units > ULPS[what]:
                units /= 1 + condition(f, float(x), options)
            worst[what] = max(worst[what], (units, float(x)))
    for what, (units, x) in worst.items():
        assert units <= ULPS[what], f"{name}: {what} at {x!r} is off by {units:.1f} ulp"


@pytest.mark.parametrize("name", ["log", "sqrt", "square", "reciprocal", "exp"])
def test_poles_and_overflow_are_infinities(name: str) -> None:
    x, slope = {"log": (0, 1), "sqrt": (0, 1), "square": (1e38, 1), "reciprocal": (0, -1)}.get(
        name, (100, 1)
    )
    _, res = OPS[name].fwd(jnp.float32(x))
    assert OPS[name].bwd(res, 10.0)[0] == slope * np.inf


def test_the_sigmoid_has_a_slope_in_its_right_tail() -> None:
    assert jax.grad(sigmoid)(40.0) == pytest.approx(4.248354e-18, rel=1e-6)
    assert jax.grad(sigmoid)(-40.0) == pytest.approx(4.248354e-18, rel=1e-6)
    assert jax.grad(sigmoid)(0.0) == 0.25


def test_an_error_of_some_ulps_is_seen() -> None:
    assert error_in_ulps(np.float32(1 + 2**-20), MP.mpf(1), 1.0) == 8
    assert error_in_ulps(np.float32(np.nan), MP.mpf(1), 1.0) == np.inf
    assert error_in_ulps(np.float32(0), MP.mpf("1e-30"), 1.0) > 1e6
    assert error_in_ulps(np.float32(0), MP.mpf("1e-39"), 1.0) == 0
    assert error_in_ulps(np.float32(-np.inf), MP.mpf("1e39"), 1.0) == np.inf
