"""A function as a straight line of nodes."""

import jax
import jax.numpy as jnp
import numpy as np

import purebp
from purebp.autodiff.straight import bars_of, line_of
from tests.autodiff.programs import CALLS, LOOPS

SKIPPED = {"samples", "log samples"}  # thousands of nodes


def test_a_line_gives_what_the_function_gives():
    for name, (function, args) in {**LOOPS, **CALLS}.items():
        if name not in SKIPPED:
            given = tuple(map(jnp.asarray, args))
            (y,) = line_of(function, *given).outs
            np.testing.assert_allclose(y, function(*given), rtol=1e-5, err_msg=name)


def test_the_cotangents_of_each_node_are_those_of_its_operands_and_outputs():
    line = line_of(lambda x, y: jnp.sin(x * y) + x, 2.0, 3.0)
    assert [node.name for node in line.nodes] == ["mul", "sin", "add"]
    product, sine, total = bars_of(line, purebp.grad)
    slope = float(jnp.cos(6.0))
    np.testing.assert_allclose(total.arriving + total.leaving, [1, 1, 1])
    np.testing.assert_allclose(sine.arriving + sine.leaving, [1, slope], rtol=1e-6)
    np.testing.assert_allclose(product.leaving, [3 * slope, 2 * slope], rtol=1e-6)


def test_integers_have_none():
    (node,) = line_of(lambda x: x.astype(jnp.float32), jnp.asarray(3)).nodes
    assert node.name == "convert_element_type"
    line = line_of(lambda x, n: x * n, 2.0, jnp.asarray(3))
    assert next(bars.leaving for bars in bars_of(line, jax.grad)) == [None]


def test_what_a_rule_closes_over_is_constant():
    shift = jnp.arange(3.0)

    @jax.custom_vjp
    def shifted(x):
        return x * shift

    shifted.defvjp(lambda x: (shifted(x), None), lambda _, y_bar: (y_bar * shift,))

    def loss(x):
        return jnp.sum(shifted(jnp.sin(x)))

    def slopes(x):
        return jnp.sum(purebp.grad(lambda x: jnp.sum(shifted(jnp.sin(x)) ** 2))(x))

    (bars,) = [b for b in bars_of(line_of(loss, jnp.ones(3)), purebp.grad) if b.leaving[0] is None]
    np.testing.assert_allclose(bars.leaving[1], shift)
    for function in (loss, slopes):
        assert not purebp.find_nonfinite(function, jnp.ones(3))
        assert purebp.compare(function, jnp.ones(3)).agree
    expected = 2 * shift**2 * jnp.cos(2.0)  # (s sin)^2 has the slope s^2 sin 2x
    np.testing.assert_allclose(purebp.grad(slopes)(jnp.ones(3)), expected, rtol=1e-5)
