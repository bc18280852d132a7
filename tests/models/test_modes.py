"""Training and evaluation: running statistics, dropout, and the first weights."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.gates import identity
from purebp.models import Layer, Model, linear_classifier, n_layer_net, two_layer_net
from tests.models.plain import arguments

X = jnp.asarray(np.random.default_rng(2).normal(size=(6, 4)), jnp.float32)
KEY = jax.random.key(7)


def test_running_statistics_move_a_tenth_towards_the_batch():
    model = n_layer_net(4, (5,), 3, norm="batch")
    params, _, _, old, _ = arguments(model)
    (_, new), _ = model.fwd(params, X, old, train=True)
    h = np.asarray(X @ params["affine1"]["w"] + params["affine1"]["b"], np.float64)
    wanted_mean = 0.9 * old["norm1"]["mean"] + 0.1 * h.mean(0)
    np.testing.assert_allclose(new["norm1"]["mean"], wanted_mean, rtol=1e-5)
    biased, unbiased = (0.9 * old["norm1"]["var"] + 0.1 * h.var(0, ddof=ddof) for ddof in (0, 1))
    np.testing.assert_allclose(new["norm1"]["var"], biased, rtol=1e-5)
    assert not np.allclose(new["norm1"]["var"], unbiased, rtol=1e-3)


def test_without_a_state_training_starts_from_the_fresh_one():
    model = n_layer_net(4, (5,), 3, norm="batch")
    params = model.init(KEY)
    fresh = model.fwd(params, X, model.init_state(), train=True)[0][1]
    none = model.fwd(params, X, train=True)[0][1]
    np.testing.assert_array_equal(none["norm1"]["var"], fresh["norm1"]["var"])


def test_evaluation_keeps_the_state_and_uses_it():
    model = n_layer_net(4, (5,), 3, norm="batch")
    params, state = model.init(KEY), model.init_state()
    (y, same), _ = model.fwd(params, X, state)
    np.testing.assert_array_equal(same["norm1"]["mean"], state["norm1"]["mean"])
    other = {"norm1": {"mean": state["norm1"]["mean"] + 1, "var": state["norm1"]["var"]}}
    assert not np.allclose(y, model.fwd(params, X, other)[0][0])
    # Evaluation takes each example by itself, training does not.
    np.testing.assert_allclose(model.fwd(params, X[:2], state)[0][0], y[:2], rtol=1e-5)
    trained, few = (model.fwd(params, x, state, train=True)[0][0] for x in (X, X[:2]))
    assert not np.allclose(few, trained[:2], rtol=1e-2)


def test_running_statistics_converge_to_those_of_the_data():
    model = n_layer_net(4, (5,), 3, norm="batch")
    params, state = model.init(KEY), model.init_state()
    step = jax.jit(partial(model.fwd, train=True))
    for _ in range(120):
        (_, state), _ = step(params, X, state)
    (trained, _), _ = step(params, X, state)
    np.testing.assert_allclose(model.fwd(params, X, state)[0][0], trained, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("train", [False, True])
def test_the_state_is_not_differentiated(train):
    model = n_layer_net(4, (5,), 3, norm="batch")
    params, state = model.init(KEY), model.init_state()

    def scalar(state, run):
        return jnp.sum(run(params, X, state, train=train)[0] ** 2)

    for run in (model, model.define):
        gradient = jax.grad(scalar)(state, run)
        assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_dropout_draws_by_the_key_in_training_alone():
    model = n_layer_net(4, (50, 50), 3, dropout=0.5)
    params = model.init(KEY)
    first, same = (model.fwd(params, X, key=KEY, train=True)[0][0] for _ in range(2))
    np.testing.assert_array_equal(first, same)
    other = model.fwd(params, X, key=jax.random.key(8), train=True)[0][0]
    assert not np.allclose(first, other)
    plain = n_layer_net(4, (50, 50), 3)
    np.testing.assert_array_equal(model.fwd(params, X, key=KEY)[0][0], plain.fwd(params, X)[0][0])


def test_two_dropout_layers_draw_different_masks():
    model = n_layer_net(64, (64, 64), 64, dropout=0.5)
    eye = {"w": jnp.eye(64), "b": jnp.ones(64)}
    params = dict.fromkeys(("affine1", "affine2", "affine3"), eye)
    y = model.fwd(params, jnp.ones((1, 64)), key=KEY, train=True)[0][0]
    # 1 + 1 is kept (4) or not (0), 1 more is kept or not: with equal masks only 1 and 11 occur.
    assert set(np.unique(y)) == {1.0, 3.0, 11.0}


def test_first_weights_depend_on_the_key_alone():
    model = two_layer_net(30, 40, 3)
    one, same, other = (model.init(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one["affine1"]["w"], same["affine1"]["w"])
    assert not np.allclose(one["affine1"]["w"], other["affine1"]["w"])


def test_each_layer_has_its_own_first_weights():
    params = n_layer_net(20, (20, 20), 20).init(KEY)
    assert not np.allclose(params["affine1"]["w"], params["affine2"]["w"])


@pytest.mark.parametrize(
    ("init", "wanted"),
    [("small", 0.01), ("he", math.sqrt(2 / 300)), ("xavier", math.sqrt(2 / 500))],
)
def test_the_spread_of_the_first_weights(init, wanted):
    params = linear_classifier(300, 200, init=init).init(KEY)["affine1"]
    assert float(jnp.std(params["w"])) == pytest.approx(wanted, rel=0.02)
    assert abs(float(jnp.mean(params["w"]))) < 0.02 * wanted
    assert not np.any(params["b"])


def test_the_first_weights_have_the_dtype_that_is_asked_for():
    params = two_layer_net(4, 5, 3).init(KEY, dtype=jnp.bfloat16)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(params)} == {"bfloat16"}


def test_a_model_without_weights_has_none():
    model = Model("nothing", [Layer("same", identity)], (3,))
    assert model.init(KEY) == {}
    assert model.init_state() == {}
