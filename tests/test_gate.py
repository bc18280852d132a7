"""The contract of Gate: what is saved, how broadcasting is undone, all gates' dtypes and shapes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from purebp import ArgumentError, Gate, Op
from purebp.compat import enable_x64, jit_once
from purebp.gate import unbroadcast
from purebp.gates import (
    OPS,
    add,
    branch,
    div,
    dot,
    exp,
    matmul,
    max,
    mean,
    min,
    mul,
    sigmoid,
    sqrt,
    sub,
    sum,
    tanh,
)
from purebp.residuals import Spec
from tests.moving import MOVING


def lerp_definition(
    x: Float[Array, "*#s"], y: Float[Array, "*#s"], *, t: float = 0.5, name: str = "lerp"
) -> Float[Array, "*s"]:
    """z = x + t (y - x)."""
    return x + t * (y - x)


def lerp_x_bar(z_bar: Array, t: float) -> Array:
    return z_bar * (1 - t)


def lerp_y_bar(z_bar: Array, t: float) -> Array:
    return z_bar * t


lerp = Gate(lerp_definition, lerp_x_bar, lerp_y_bar, options={"t": (0.5, 0.25)})


def saved_by(gate: Gate, *args: Any) -> dict[str, Any]:
    """What the residuals hold, by name."""
    return gate.fwd(*args)[1].values[0]


def test_a_gate_is_an_op_with_one_pullback_for_each_operand() -> None:
    assert isinstance(mul, Op)
    assert (mul.primitive, lerp.primitive, sigmoid.primitive) == ("mul", None, "logistic")
    assert [len(gate.pullbacks) for gate in (tanh, mul, lerp, branch)] == [1, 2, 2, 1]
    for gate in OPS:
        if not isinstance(gate, Gate):
            assert gate.name in {"var", "std", "norm"}  # they save more than operands
            continue
        assert len(gate.pullbacks) == len(gate.signature.parameters)


@pytest.mark.parametrize(
    ("gate", "count", "saved"),
    [
        (add, 2, set()),
        (sub, 2, set()),
        (sum, 1, set()),
        (mean, 1, set()),
        (lerp, 2, set()),
        (branch, 1, set()),
        (mul, 2, {"x", "y"}),
        (dot, 2, {"x", "y"}),
        (tanh, 1, {"x"}),
        (exp, 1, {"y"}),
        (sqrt, 1, {"y"}),
    ],
    ids=lambda value: value.name if isinstance(value, Gate) else "",
)
def test_fwd_saves_what_the_pullbacks_name_and_nothing_else(gate, count, saved) -> None:
    args = [jnp.full(3, 2.0 + i) for i in range(count)]
    y, res = gate.fwd(*args)
    found = saved_by(gate, *args)
    assert set(found) == saved
    assert len(jax.tree.leaves(res)) == len(saved)
    for name, value in found.items():
        operands = dict(zip("xy", args, strict=False)) if count == 2 else {"x": args[0], "y": y}
        np.testing.assert_array_equal(value, operands[name])


def test_the_forward_function_computes_the_output_and_the_definition_defines_it() -> None:
    def near_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        return x

    def near_x_bar(y_bar: Array, y: Array) -> Array:
        return y_bar * y

    gate = Gate(near_definition, near_x_bar, forward=lambda x: x + 1)
    y, res = gate.fwd(2.0)
    assert (gate(2.0), y, gate.define(2.0), gate.bwd(res, 1.0)) == (3, 3, 2, (3,))
    assert jax.grad(gate)(2.0) == 3


def test_options_reach_the_pullbacks_that_name_them() -> None:
    for gate in (lerp.with_options(t=0.25), lerp):
        y, res = gate.fwd(1.0, 3.0, t=0.25)
        assert (y, gate.bwd(res, 1.0)) == (1.5, (0.75, 0.25))
    assert jax.grad(lambda x: lerp(x, 3.0, t=0.25))(1.0) == 0.75


def test_a_pullback_may_take_the_shape_and_dtype_of_an_operand() -> None:
    def fill_definition(x: Float[Array, "*s"]) -> Float[Array, ""]:
        return jnp.sum(x)

    def fill_x_bar(y_bar: Array, x_spec: Spec) -> Array:
        assert x_spec == Spec((2, 3), np.dtype("float32"))
        return jnp.full(x_spec.shape, y_bar)

    gate = Gate(fill_definition, fill_x_bar)
    assert jax.grad(gate)(jnp.ones((2, 3))).tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("pullbacks", [(), (lerp_x_bar,), (lerp_x_bar, lerp_y_bar, lerp_y_bar)])
def test_a_gate_needs_one_pullback_for_each_operand(pullbacks) -> None:
    with pytest.raises(ArgumentError) as raised:
        Gate(lerp_definition, *pullbacks)
    assert str(raised.value) == (
        f"lerp: {len(pullbacks)} pullbacks, expected 2, one for each operand (x, y)"
    )


@pytest.mark.parametrize(
    ("shape", "to"),
    [
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((2, 3), (1, 3)),
        ((2, 3), (2, 1)),
        ((2, 3), (1, 1)),
        ((2, 3), (1,)),
        ((2, 3), ()),
        ((4, 2, 3), (2, 1)),
        ((0, 3), (1, 3)),
        ((0, 3), (3,)),
        ((2, 0), (2, 1)),
        ((1, 3), (1, 3)),
        ((1, 3), (3,)),
        ((), ()),
    ],
)
def test_unbroadcast_is_the_transpose_of_broadcasting(shape, to) -> None:
    x_bar = jnp.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
    _, pull = jax.vjp(lambda x: jnp.broadcast_to(x, shape), jnp.zeros(to))
    came = unbroadcast(x_bar, Spec(to, np.dtype("float32")))
    assert came is not None
    assert came.shape == to
    np.testing.assert_array_equal(came, pull(x_bar)[0])


def test_unbroadcast_sums_16_bit_cotangents_in_float32() -> None:
    x_bar = jnp.ones(4096, jnp.bfloat16)
    total = unbroadcast(x_bar, Spec((), np.dtype(jnp.bfloat16)))
    assert total is not None
    assert (total, total.dtype) == (4096.0, jnp.bfloat16)  # added one by one, it stays at 256


OF_FLOATS = [
    gate
    for gate in OPS
    if gate.name not in MOVING
    and all("bfloat16" in p.specs[0].dtypes for p in gate.signature.parameters)
]
OF_ENTRIES = ("reduce_max", "reduce_min", "var", "std", "cumsum", "cumprod", "cummax", "cummin")
LIMITED = {"dot", "matmul", "cumlogsumexp", *OF_ENTRIES}  # not for shape (), or not for no entries
ELEMENTWISE = [gate for gate in OF_FLOATS if gate.name not in LIMITED]
PAIRS = [gate for gate in OF_FLOATS if len(gate.signature.parameters) == 2]
SHAPES = [(), (0,), (1,), (3, 0, 1)]


def arguments(gate: Op, shape: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(len(shape))
    return [jnp.asarray(rng.uniform(0.5, 2, shape)) for _ in gate.signature.parameters]


def check_against_definition(gate: Op, args: list[Any]) -> None:
    def run(*args: Any) -> Any:
        y, pull = jax.vjp(gate.define, *args)
        y_bar = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1.5), y)
        ran, res = gate.fwd(*args)
        return (ran, y), (gate(*args), y), (gate.bwd(res, y_bar), pull(y_bar))

    for came, expected in jit_once(run)(*args):
        leaves, wanted = jax.tree.leaves(came), jax.tree.leaves(expected)
        assert [leaf.shape for leaf in leaves] == [leaf.shape for leaf in wanted]
        assert [leaf.dtype for leaf in leaves] == [leaf.dtype for leaf in wanted]
        for leaf, want in zip(leaves, wanted, strict=True):
            np.testing.assert_allclose(leaf, want, rtol=1e-12)


@pytest.mark.parametrize("gate", ELEMENTWISE, ids=lambda gate: gate.name)
def test_scalars_empty_arrays_and_axes_of_one(gate: Op) -> None:
    with enable_x64(True):
        for shape in SHAPES:
            if not (gate is mean and 0 in shape):
                check_against_definition(gate, arguments(gate, shape))


def test_products_of_empty_arrays_and_axes_of_one() -> None:
    with enable_x64(True):
        for shape in [(0,), (1,), (2, 0), (0, 3)]:
            check_against_definition(dot, arguments(dot, shape))
        for left, right in [
            ((0, 2), (2, 3)),
            ((2, 0), (0, 3)),
            ((1, 1), (1, 1)),
            ((4, 1, 2, 3), (5, 3, 0)),
            ((2, 3), (0, 3, 1)),
        ]:
            check_against_definition(matmul, [jnp.ones(left), jnp.full(right, 2.0)])


def test_the_mean_of_nothing_is_nan_and_its_cotangent_is_empty() -> None:
    y, res = mean.fwd(jnp.ones((2, 0)))
    assert np.isnan(y)
    assert mean.bwd(res, 1.0)[0].shape == (2, 0)


DTYPES = [("float32", "bfloat16"), ("float16", "float32")]


@pytest.mark.parametrize("gate", PAIRS, ids=lambda gate: gate.name)
@pytest.mark.parametrize(("left", "right"), DTYPES)
def test_mixed_dtypes_give_each_operand_its_own_dtype_back(gate: Op, left, right) -> None:
    x = jnp.linspace(1.25, 2, 6, dtype=left).reshape(2, 3)
    y = jnp.linspace(2, 3, 9, dtype=right).reshape(3, 3)
    y = y if gate is matmul else y[:2]

    def run(x: Any, y: Any) -> Any:
        z, pull = jax.vjp(gate.define, x, y)
        ran, res = gate.fwd(x, y)
        by_jax = jax.grad(lambda x, y: jnp.sum(gate(x, y)), (0, 1))(x, y)
        ones = jnp.ones_like(z)
        return z, ran, gate.bwd(res, ones), by_jax, pull(ones)

    z, ran, bars, by_jax, expected = jit_once(run)(x, y)
    assert ran.dtype == z.dtype == jnp.float32
    assert [bar.dtype for bar in bars] == [left, right]
    assert [bar.dtype for bar in by_jax] == [left, right]
    for bar, also, want in zip(bars, by_jax, expected, strict=True):
        wide = want.astype(jnp.float32)
        np.testing.assert_allclose(bar.astype(jnp.float32), wide, rtol=2e-2)
        np.testing.assert_allclose(also.astype(jnp.float32), wide, rtol=2e-2)


@pytest.mark.parametrize("gate", OF_FLOATS, ids=lambda gate: gate.name)
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_every_gate_keeps_the_dtype(gate: Op, dtype: str) -> None:
    with enable_x64(True):
        args = [arg.astype(dtype) for arg in arguments(gate, (2, 2))]

        def run(*args: Any) -> Any:
            y, res = gate.fwd(*args)
            return y, gate.define(*args), gate.bwd(res, jax.tree.map(jnp.ones_like, y))

        found = {str(leaf.dtype) for leaf in jax.tree.leaves(jax.eval_shape(run, *args))}
        assert found == {dtype}


def test_a_number_beside_a_small_dtype_does_not_widen_it() -> None:
    for gate in (add, sub, mul, div, max, min):
        assert gate(jnp.ones(2, jnp.bfloat16), 2.0).dtype == jnp.bfloat16
