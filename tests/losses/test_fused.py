"""The fused output layer and loss: the same numbers, and never all logits at one time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import chain
from purebp.errors import OptionError, ShapeError
from purebp.layers import affine
from purebp.losses import fused_linear_cross_entropy as fused
from purebp.losses import softmax_cross_entropy

X, W = jax.random.normal(jax.random.key(0), (7, 5)), jax.random.normal(jax.random.key(1), (5, 9))
LABELS = jnp.array([0, 8, 3, 3, 1, 5, 2])


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_the_same_as_the_two_ops_one_after_the_other(chunk):
    net = chain(affine, softmax_cross_entropy)

    @jax.jit
    def both(x, w):
        loss, res = fused.fwd(x, w, LABELS, chunk=chunk)
        wanted, net_res = net.fwd(x, ((w,), (LABELS,)))
        x_bar, ((w_bar,), _) = net.bwd(net_res, 3.0)
        return (loss, *fused.bwd(res, 3.0)[:2]), (wanted, x_bar, w_bar)

    for came, wanted in zip(*both(X, W), strict=True):
        np.testing.assert_allclose(came, wanted, rtol=1e-5, atol=1e-6)


def temporaries(rows):
    def both(x, w, labels):
        loss, res = fused.fwd(x, w, labels, chunk=64)
        return loss, fused.bwd(res, 1.0)[:2]

    x, labels = jax.ShapeDtypeStruct((rows, 8), "float32"), jax.ShapeDtypeStruct((rows,), "int32")
    compiled = jax.jit(both).lower(x, jax.ShapeDtypeStruct((8, 4096), "float32"), labels).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_no_temporary_is_as_large_as_all_logits():
    assert temporaries(2048) < 2048 * 4096 * 4 / 4
    assert temporaries(4096) < 1.2 * temporaries(2048)


def test_a_label_that_is_no_class_gives_nan():
    loss, res = fused.fwd(X, W, LABELS.at[2].set(9), chunk=2)
    assert np.isnan(loss)
    assert np.isnan(fused.bwd(res, 1.0)[0][2]).all()


def test_a_likely_label_keeps_its_digits():
    x, w = jnp.ones((1, 1)), jnp.array([[40.0, 0.0]])
    loss, res = fused.fwd(x, w, jnp.array([0]))
    np.testing.assert_allclose(loss, np.exp(-40.0), rtol=1e-5)
    np.testing.assert_allclose(fused.bwd(res, 1.0)[1][0], [-np.exp(-40), np.exp(-40)], rtol=1e-5)


def test_wrong_input_is_refused():
    with pytest.raises(OptionError, match="reduction is 'none', expected 'mean' or 'sum'"):
        fused(X, W, LABELS, reduction="none")
    with pytest.raises(OptionError, match="chunk is 0"):
        fused(X, W, LABELS, chunk=0)
    with pytest.raises(ShapeError, match="labels has shape"):
        fused(X, W, LABELS[:3])
