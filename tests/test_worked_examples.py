"""The worked examples of the notes by purebp's gates: node by node, and grouped into one op.

The numbers are those that the notes print; reference/worked_examples.py holds them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import Op, chain, fanout, parallel
from purebp.compat import enable_x64
from purebp.gates import (
    add,
    branch,
    dot,
    exp,
    identity,
    matmul,
    max,
    mul,
    neg,
    reciprocal,
    sigmoid,
    square,
    sum,
)
from purebp.layers import affine
from reference.worked_examples import (
    ADD_MUL,
    COMPUTATIONS,
    EXAMPLES,
    JACOBIAN_SIZES,
    MUL_GATE,
    SIGMOID_NEURON,
    SQUARED_NORM,
    WorkedExample,
)


@pytest.fixture(autouse=True)
def float64():
    with enable_x64(True):
        yield


def assert_printed(came: dict[str, Any], printed: Any, decimals: int) -> None:
    """Each number, rounded as the notes round it, is the one they print."""
    for name, number in came.items():
        rounded = np.round(np.asarray(number), decimals) + 0.0
        np.testing.assert_allclose(rounded, printed[name], rtol=0, atol=1e-12, err_msg=name)


def assert_example(example: WorkedExample, values: Any, gradients: Any) -> None:
    """All printed values and gradients were computed, and are as printed."""
    assert set(values) == set(example.values)
    assert set(gradients) == set(example.gradients)
    assert_printed(values, example.values, example.decimals)
    assert_printed(gradients, example.gradients, example.decimals)


def test_add_mul_node_by_node() -> None:
    q, add_res = add.fwd(-2.0, 5.0)
    f, mul_res = mul.fwd(q, -4.0)
    q_bar, z_bar = mul.bwd(mul_res, 1.0)
    x_bar, y_bar = add.bwd(add_res, q_bar)
    gradients = {"f": 1.0, "q": q_bar, "z": z_bar, "x": x_bar, "y": y_bar}
    assert_example(ADD_MUL, {"q": q, "f": f}, gradients)


def test_add_mul_as_one_chain() -> None:
    f = chain(add, mul)
    y, res = f.fwd((-2.0, 5.0), ((), (-4.0,)))
    (x_bar, y_bar), (_, (z_bar,)) = f.bwd(res, 1.0)
    assert_printed({"f": y}, ADD_MUL.values, 0)
    assert_printed({"x": x_bar, "y": y_bar, "z": z_bar}, ADD_MUL.gradients, 0)
    assert jax.grad(f)((-2.0, 5.0), ((), (-4.0,))) == (x_bar, y_bar)


@pytest.mark.parametrize("g", [1.0, 2.0, -0.5])
def test_the_mul_gate_switches_its_inputs(g: float) -> None:
    f, res = mul.fwd(3.0, 4.0)
    x_bar, y_bar = mul.bwd(res, g)
    assert (x_bar, y_bar) == (4 * g, 3 * g)
    assert_example(MUL_GATE, {"f": f}, {"x": x_bar / g, "y": y_bar / g})


def test_the_patterns_of_backward_flow() -> None:
    assert add.bwd(add.fwd(3.0, 4.0)[1], 2.0) == (2.0, 2.0)
    assert max.bwd(max.fwd(3.0, 4.0)[1], 2.0) == (0.0, 2.0)
    assert max.bwd(max.fwd(4.0, 4.0)[1], 2.0) == (1.0, 1.0)
    assert branch.bwd(branch.fwd(3.0)[1], (2.0, 5.0)) == (7.0,)
    assert fanout(identity, square).bwd(fanout(identity, square).fwd(3.0)[1], (2.0, 5.0))[0] == 32


W, X = SIGMOID_NEURON.inputs["w"], SIGMOID_NEURON.inputs["x"]


def run_sigmoid_neuron_by_nodes() -> tuple[dict[str, Any], dict[str, Any]]:
    """mul, add, * -1, exp, + 1, 1 / x, each with its own residuals."""
    w0x0, left = mul.fwd(W[0], X[0])
    w1x1, right = mul.fwd(W[1], X[1])
    products, add_products = add.fwd(w0x0, w1x1)
    score, add_bias = add.fwd(products, W[2])
    negated, neg_res = neg.fwd(score)
    power, exp_res = exp.fwd(negated)
    denominator, add_one = add.fwd(power, 1.0)
    f, reciprocal_res = reciprocal.fwd(denominator)

    (denominator_bar,) = reciprocal.bwd(reciprocal_res, 1.0)
    power_bar, _ = add.bwd(add_one, denominator_bar)
    (negated_bar,) = exp.bwd(exp_res, power_bar)
    (score_bar,) = neg.bwd(neg_res, negated_bar)
    products_bar, w2_bar = add.bwd(add_bias, score_bar)
    w0x0_bar, w1x1_bar = add.bwd(add_products, products_bar)
    w1_bar, x1_bar = mul.bwd(right, w1x1_bar)
    w0_bar, x0_bar = mul.bwd(left, w0x0_bar)
    values = {
        "w0x0": w0x0,
        "w1x1": w1x1,
        "w0x0+w1x1": products,
        "score": score,
        "-score": negated,
        "exp": power,
        "1+exp": denominator,
        "f": f,
    }
    gradients = {
        "f": 1.0,
        "1+exp": denominator_bar,
        "exp": power_bar,
        "-score": negated_bar,
        "score": score_bar,
        "w0x0+w1x1": products_bar,
        "w0x0": w0x0_bar,
        "w1x1": w1x1_bar,
        "w": [w0_bar, w1_bar, w2_bar],
        "x": [x0_bar, x1_bar],
    }
    return values, gradients


def test_the_sigmoid_neuron_node_by_node() -> None:
    assert_example(SIGMOID_NEURON, *run_sigmoid_neuron_by_nodes())


def sigmoid_by_nodes() -> Op:
    return chain(neg, exp, add, reciprocal)


@pytest.mark.parametrize("grouped", [True, False], ids=["one gate", "four gates"])
def test_the_sigmoid_neuron_as_one_chain(grouped: bool) -> None:
    last, params = (sigmoid, ()) if grouped else (sigmoid_by_nodes(), (((), (), (1.0,), ()),))
    neuron = chain(dot, add, last)
    y, res = neuron.fwd((jnp.array(W[:2]), jnp.array(X)), ((), (W[2],), params))
    (w_bar, x_bar), (_, (bias_bar,), _) = neuron.bwd(res, 1.0)
    assert_printed({"f": y}, SIGMOID_NEURON.values, 2)
    gradients = {"w": [*w_bar, bias_bar], "x": x_bar}
    assert_printed(gradients, SIGMOID_NEURON.gradients, 2)
    _, by_nodes = run_sigmoid_neuron_by_nodes()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, by_nodes[name], rtol=1e-15)


@pytest.mark.parametrize("score", [-30.0, -1.0, 0.0, 1.0, 30.0])
def test_the_sigmoid_gate_opened_and_closed_agree(score: float) -> None:
    opened, closed = sigmoid_by_nodes(), sigmoid
    params = (((), (), (1.0,), ()),)
    y, res = opened.fwd(score, *params)
    z, closed_res = closed.fwd(score)
    np.testing.assert_allclose(y, z, rtol=1e-14)
    np.testing.assert_allclose(opened.bwd(res, 1.0)[0], closed.bwd(closed_res, 1.0)[0], rtol=1e-14)


def test_the_squared_norm_node_by_node() -> None:
    w, x = jnp.array(SQUARED_NORM.inputs["w"]), jnp.array(SQUARED_NORM.inputs["x"])
    column, matmul_res = matmul.fwd(w, x[:, None])
    q = column[:, 0]
    squares, square_res = square.fwd(q)
    f, sum_res = sum.fwd(squares)
    (squares_bar,) = sum.bwd(sum_res, 1.0)
    (q_bar,) = square.bwd(square_res, squares_bar)
    w_bar, x_bar = matmul.bwd(matmul_res, q_bar[:, None])
    gradients = {"f": 1.0, "q": q_bar, "w": w_bar, "x": x_bar[:, 0]}
    assert_example(SQUARED_NORM, {"q": q, "f": f}, gradients)


@pytest.mark.parametrize(
    "norm", [chain(affine, square, sum), chain(affine, fanout(identity, identity), dot)]
)
def test_the_squared_norm_as_one_chain(norm: Op) -> None:
    w, x = jnp.array(SQUARED_NORM.inputs["w"]), jnp.array(SQUARED_NORM.inputs["x"])
    params = ((w.T,), (), ())
    y, res = norm.fwd(x, params)
    x_bar, ((w_bar,), _, _) = norm.bwd(res, 1.0)
    assert_printed({"f": y}, SQUARED_NORM.values, 3)
    assert_printed({"w": w_bar.T, "x": x_bar}, SQUARED_NORM.gradients, 3)
    by_jax = jax.grad(norm, (0, 1))(x, params)
    np.testing.assert_array_equal(by_jax[0], x_bar)
    np.testing.assert_array_equal(by_jax[1][0][0], w_bar)


def test_branches_of_different_depth_add_up() -> None:
    f = chain(fanout(square, chain(neg, exp), identity), parallel(identity, neg, square), add3)
    y, res = f.fwd(0.5)
    (x_bar, _) = f.bwd(res, 1.0)
    assert y == pytest.approx(0.25 - np.exp(-0.5) + 0.25)
    assert x_bar == pytest.approx(1.0 + np.exp(-0.5) + 1.0)


def add3_fwd(x: Any, y: Any, z: Any) -> Any:
    return x + y + z, None


def add3_bwd(res: Any, total_bar: Any) -> Any:
    return total_bar, total_bar, total_bar


add3 = Op(add3_fwd, add3_bwd)


def test_the_jacobian_of_an_elementwise_gate_is_diagonal() -> None:
    entries, size = JACOBIAN_SIZES[0]
    x = jnp.linspace(-1, 1, 8)
    _, res = max.fwd(x, 0.0)
    jacobian = jax.vmap(lambda y_bar: max.bwd(res, y_bar)[0])(jnp.eye(8))
    assert (entries, size) == (4096, (4096, 4096))
    np.testing.assert_array_equal(jacobian, jnp.diag(x > 0))


def test_every_example_of_the_notes_is_here() -> None:
    assert set(EXAMPLES) == {"add_mul", "mul_gate", "sigmoid_neuron", "squared_norm"}
    assert set(COMPUTATIONS) == set(EXAMPLES)


def test_a_gradient_that_is_off_in_the_last_digit_is_noticed() -> None:
    with pytest.raises(AssertionError, match="x"):
        assert_printed({"x": [0.394, -0.584]}, SIGMOID_NEURON.gradients, 2)
