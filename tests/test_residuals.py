"""What travels from fwd to bwd: static nodes, the residuals' tree, the check of y_bar."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import ArgumentError, DtypeError, ShapeError
from purebp.gates import branch, mul, sum, tanh
from purebp.residuals import Residuals, Spec, Static, check_cotangent, output_specs, spec_of

X, Y = jnp.array([1.0, 2.0]), jnp.array([3.0, 5.0])


def test_static_and_spec_have_no_leaves_and_pass_jit_untraced() -> None:
    tree = {"a": Static((1, "two")), "b": Spec((2, 3), np.dtype("float32")), "c": X}
    assert [leaf is X for leaf in jax.tree.leaves(tree)] == [True]
    seen = jax.jit(lambda t: (t["c"] + t["a"].value[0], t["a"], t["b"]))(tree)
    assert seen[1:] == (tree["a"], tree["b"])
    assert seen[0].tolist() == [2.0, 3.0]


def test_a_spec_is_the_shape_and_dtype_of_an_array() -> None:
    spec = spec_of(jnp.zeros((2, 3), jnp.bfloat16))
    assert spec == Spec((2, 3), np.dtype(jnp.bfloat16))
    assert str(spec) == "bfloat16[2, 3]"
    assert spec_of(np.zeros(2)) == Spec((2,), np.dtype("float64"))
    assert len({spec, spec_of(jnp.ones((2, 3), jnp.bfloat16)), spec_of(X)}) == 2


def test_residuals_know_who_saved_them_and_with_which_options() -> None:
    _, res = sum.fwd(jnp.ones((2, 3)), axis=1)
    assert (res.saved_by, res.arity) == ("sum", 1)
    assert dict(res.settings) == {"axis": 1, "keepdims": False}
    assert res.output == output_specs(jnp.zeros(2))


def test_only_the_values_of_residuals_are_leaves() -> None:
    _, res = mul.fwd(X, Y)
    leaves, tree = jax.tree.flatten(res)
    assert [leaf.tolist() for leaf in leaves] == [X.tolist(), Y.tolist()]
    doubled = jax.tree.unflatten(tree, [2 * leaf for leaf in leaves])
    assert isinstance(doubled, Residuals)
    assert [bar.tolist() for bar in mul.bwd(doubled, X)] == [[6.0, 20.0], [2.0, 8.0]]
    assert jax.tree.structure(mul.fwd(Y, X)[1]) == tree
    assert jax.tree.structure(mul.fwd(Y[:1], X)[1]) != tree


def test_residuals_pass_through_jit_vmap_and_scan() -> None:
    expected = mul.bwd(mul.fwd(X, Y)[1], X)
    _, res = jax.jit(mul.fwd)(X, Y)
    by_jit = jax.jit(mul.bwd)(res, X)
    _, each = jax.vmap(mul.fwd)(X, Y)
    by_vmap = jax.vmap(mul.bwd)(each, X)

    def forward(carry: Any, xy: Any) -> Any:
        return carry, mul.fwd(*xy)[1]

    def backward(carry: Any, saved: Any) -> Any:
        return carry, mul.bwd(*saved)

    _, stacked = jax.lax.scan(forward, 0, (X, Y))
    _, by_scan = jax.lax.scan(backward, 0, (stacked, X))
    for came in (by_jit, by_vmap, by_scan):
        jax.tree.map(np.testing.assert_array_equal, came, expected)


def test_outputs_may_be_numbers_and_trees() -> None:
    tree, specs = output_specs({"a": 1.0, "b": (X, None)})
    assert [str(spec) for spec in specs] == ["float32[]", "float32[2]"]
    assert tree == jax.tree.structure({"a": 0, "b": (0, None)})


def test_a_number_is_a_cotangent_in_the_dtype_of_the_output() -> None:
    output = output_specs((jnp.zeros((), jnp.bfloat16), X))
    a, b = check_cotangent("op", output, (1, np.ones(2, np.float32)))
    assert (a.dtype, b.dtype) == (jnp.bfloat16, jnp.float32)
    assert isinstance(b, jax.Array)


def test_cotangents_of_integer_outputs_are_let_through() -> None:
    nothing = np.zeros(2, jax.dtypes.float0)
    output = output_specs((jnp.arange(2), X))
    a, b = check_cotangent("op", output, (nothing, X))
    assert a is nothing
    assert b is X


@pytest.mark.parametrize(
    ("y", "y_bar", "error", "message"),
    [
        (X, Y[:1], ShapeError, "op: y_bar has shape (1,), expected (2,) like the output"),
        (X, 1.0, ShapeError, "op: y_bar has shape (), expected (2,) like the output"),
        (X[0], X, ShapeError, "op: y_bar has shape (2,), expected () like the output"),
        (
            X,
            jnp.arange(2),
            DtypeError,
            "op: y_bar has dtype int32, expected float32 like the output",
        ),
        (X, object(), DtypeError, "op: y_bar is an object, expected an array of numbers"),
        (
            X,
            None,
            ArgumentError,
            "op: y_bar has the structure PyTreeDef(None), expected PyTreeDef(*) like the output",
        ),
        (
            (X, X),
            [X, X],
            ArgumentError,
            (
                "op: y_bar has the structure PyTreeDef([*, *]), expected PyTreeDef((*, *)) "
                "like the output"
            ),
        ),
    ],
)
def test_a_cotangent_that_does_not_fit_is_refused(y, y_bar, error, message: str) -> None:
    with pytest.raises(error) as raised:
        check_cotangent("op", output_specs(y), y_bar)
    assert str(raised.value) == message


def test_the_wrong_part_of_a_tuple_is_found() -> None:
    _, res = branch.fwd(X)
    with pytest.raises(ShapeError, match=r"^branch: y_bar has shape \(1,\), expected \(2,\)"):
        branch.bwd(res, (X, X[:1]))
    assert tanh.bwd(tanh.fwd(0.0)[1], 1)[0] == 1.0
