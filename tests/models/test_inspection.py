"""Looking into models: outputs of layers, dead ReLUs, gradient norms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import ShapeError
from purebp.models import conv_net, dead_relus, gradient_norms, layer_outputs, two_layer_net
from tests.models.plain import NETS, arguments


@pytest.mark.parametrize("name", ["batch_norm", "dropout", "conv"])
def test_the_last_output_is_that_of_the_model(name):
    model, _ = NETS[name]
    params, x, _, state, key = arguments(model)

    @jax.jit
    def both(params, x):
        outputs = layer_outputs(model, params, x, state, key, train=True)
        assert list(outputs) == [layer.name for layer in model.layers]
        return outputs, model.fwd(params, x, state, key, train=True)[0][0]

    outputs, wanted = both(params, x)
    np.testing.assert_array_equal(outputs[model.layers[-1].name], wanted)


def test_the_outputs_of_the_layers():
    model = two_layer_net(4, 5, 3)
    params, x, *_ = arguments(model)
    outputs = layer_outputs(model, params, x)
    hidden = np.asarray(x @ params["affine1"]["w"] + params["affine1"]["b"])
    np.testing.assert_allclose(outputs["affine1"], hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["relu1"], np.maximum(hidden, 0), rtol=1e-5, atol=1e-6)


def test_a_wrong_input_is_refused():
    model = two_layer_net(4, 5, 3)
    with pytest.raises(ShapeError, match=r"two_layer_net: x has shape \(2, 3\)"):
        layer_outputs(model, model.init(jax.random.key(0)), jnp.ones((2, 3)))


def test_dead_features_are_counted():
    model = two_layer_net(4, 5, 3)
    params = model.init(jax.random.key(0))
    params["affine1"]["b"] = jnp.asarray([-100.0, 100.0, -100.0, 100.0, 100.0])
    shares = dead_relus(model, params, jnp.ones((7, 4)))
    assert {name: float(share) for name, share in shares.items()} == {"relu1": pytest.approx(0.4)}


def test_a_unit_that_one_example_wakes_up_is_not_dead():
    model = two_layer_net(1, 1, 2)
    params = model.init(jax.random.key(0))
    params["affine1"] = {"w": jnp.ones((1, 1)), "b": jnp.zeros(1)}
    asleep, awake = jnp.asarray([[-1.0], [-2.0]]), jnp.asarray([[-1.0], [2.0]])
    assert float(dead_relus(model, params, asleep)["relu1"]) == 1
    assert float(dead_relus(model, params, awake)["relu1"]) == 0


def test_a_dead_filter_counts_as_one_unit():
    model = conv_net((1, 8, 8), 3, filters=(4, 5))
    params = model.init(jax.random.key(0))
    params["conv1"]["b"] = jnp.asarray([-100.0, 0.0, 0.0, 0.0])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 1, 8, 8)), jnp.float32)
    assert float(jax.jit(partial(dead_relus, model))(params, x)["relu1"]) == 0.25


def test_gradient_norms_by_layer():
    model = two_layer_net(1, 2, 1)
    bars = {
        "affine1": {"w": jnp.asarray([[3.0, 0.0]]), "b": jnp.asarray([0.0, 4.0])},
        "affine2": {"w": jnp.full((2, 1), 3e30), "b": jnp.zeros(1)},
    }
    norms = gradient_norms(model, jax.tree.map(lambda bar: bar, bars))
    assert list(norms) == ["affine1", "affine2"]
    assert float(norms["affine1"]) == 5
    assert float(norms["affine2"]) == pytest.approx(3e30 * 2**0.5)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_the_norm_of_nothing_and_of_what_is_not_finite(value):
    model = two_layer_net(1, 2, 1)
    bars = jax.tree.map(lambda w: jnp.full(w.shape, value), model.init(jax.random.key(0)))
    np.testing.assert_equal(float(gradient_norms(model, bars)["affine1"]), value)
