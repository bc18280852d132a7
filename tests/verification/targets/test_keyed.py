"""Layers that draw random numbers."""

import jax
import jax.numpy as jnp
import pytest

import purebp
from purebp import TargetError
from purebp.verification.targets.keyed import with_key

X = jnp.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])
KEY = jax.random.key(3)


def dropped_fwd(x, *, key, rate=0.5):
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0), ()


def right_bwd(residuals, y_bar, *, key, rate):
    kept = jax.random.bernoulli(key, 1 - rate, y_bar.shape)
    return (jnp.where(kept, y_bar / (1 - rate), 0),)


def unscaled_bwd(residuals, y_bar, *, key, rate):
    return (jnp.where(jax.random.bernoulli(key, 1 - rate, y_bar.shape), y_bar, 0),)


def test_a_key_by_name_reaches_forward_and_backward():
    right = purebp.verify((dropped_fwd, right_bwd), X, key=KEY, budget="quick")
    assert right.ok, str(right)
    wrong = purebp.verify((dropped_fwd, unscaled_bwd), X, key=KEY, budget="quick")
    assert wrong.verdict == "fail"
    assert "2 times too small" in wrong.headline


def test_a_key_by_position_comes_in_its_place():
    def noisy(x, key, w):
        return x * jax.random.normal(key, x.shape) * w

    target, examples = with_key(noisy, (X, X[0]), KEY)
    assert target is noisy
    assert examples[1] is KEY
    assert len(examples) == 3


def test_a_layer_without_a_key_is_told():
    with pytest.raises(TargetError, match=r"has no argument named key \(its arguments: x, w\)"):
        with_key((lambda x, w: (x * w, ()), right_bwd), (X, X), KEY)
