"""Losses in their tails, at zeros, against optax, and with options that make no sense."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from purebp import losses
from purebp.errors import OptionError, ShapeError
from purebp.losses import (
    binary_cross_entropy,
    cosine_distance,
    dice,
    focal,
    huber,
    info_nce,
    js_divergence,
    kl_divergence,
    l1_loss,
    log_cosh,
    max_norm,
    mse,
    triplet,
)

RNG = np.random.default_rng(0)
Y, T = (jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32) for _ in range(2))
P = jnp.asarray(RNG.uniform(size=(3, 4)), jnp.float32)
IN_OPTAX = {
    "mse": (optax.squared_error, (Y, T)),
    "huber": (optax.huber_loss, (Y, T)),
    "log_cosh": (optax.log_cosh, (Y, T)),
    "binary_cross_entropy": (optax.sigmoid_binary_cross_entropy, (Y, P)),
    "focal": (optax.sigmoid_focal_loss, (Y, jnp.round(P))),
    "hinge": (optax.hinge_loss, (Y, jnp.sign(T))),
    "kl_divergence": (optax.kl_divergence, (Y, P)),
    "cosine_distance": (optax.cosine_distance, (Y, T)),
}


@pytest.mark.parametrize("name", IN_OPTAX)
def test_values_are_those_of_optax(name: str) -> None:
    plain, args = IN_OPTAX[name]
    op = getattr(losses, name).with_options(reduction="none")
    np.testing.assert_allclose(op(*args), plain(*args), rtol=2e-5, atol=1e-6)


def gradient(op, *args):
    """The first cotangent for an upstream gradient of 1."""
    y, res = op.fwd(*args)
    return op.bwd(res, jnp.ones_like(y))[0]


def test_a_confident_and_right_decision_keeps_its_gradient() -> None:
    z = jnp.float32(30.0)
    exact = -np.exp(-30.0)  # s(z) - 1 in float32 is 0
    assert gradient(binary_cross_entropy, z, 1.0) == pytest.approx(exact, rel=1e-6)
    assert binary_cross_entropy(z, 1.0) == pytest.approx(-exact, rel=1e-6)
    assert gradient(focal.with_options(gamma=1.0), z, 1.0) == pytest.approx(
        -31 * exact**2, rel=1e-5
    )


def test_log_cosh_near_zero_and_far_out() -> None:
    e = jnp.array([1e-4, 0.0, 1e4], jnp.float32)
    y = log_cosh(e, jnp.zeros(3), reduction="none")
    np.testing.assert_allclose(y, [5e-9, 0, 1e4 - np.log(2)], rtol=1e-6)


def test_distributions_with_zeros() -> None:
    log_p = jnp.log(jnp.array([0.5, 0.5, 0.0]))
    target = jnp.array([0.25, 0.75, 0.0])
    assert np.isfinite(kl_divergence(log_p, target))
    np.testing.assert_allclose(gradient(kl_divergence, log_p, target), [-0.25, -0.75, 0])


def test_js_divergence_is_symmetric_and_at_most_ln_2() -> None:
    log_p, log_q = jnp.log(jnp.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))
    assert js_divergence(log_p, log_q) == pytest.approx(np.log(2))
    assert js_divergence(log_p, log_p) == 0
    np.testing.assert_allclose(gradient(js_divergence, log_p, log_q), [np.log(2) / 4] * 2 + [0])
    other = jnp.log(jnp.array([0.2, 0.7, 0.1]))
    assert js_divergence(log_p, other) == js_divergence(other, log_p)


def test_js_divergence_of_neighbours_keeps_its_gradient() -> None:
    log_p = jnp.log(jnp.array([0.25, 0.75]))
    log_q = log_p.at[0].add(2.0**-12)
    p, q = np.exp(np.float64(log_p)), np.exp(np.float64(log_q))
    exact = p * np.log(2 * p / (p + q)) / 2
    np.testing.assert_allclose(gradient(js_divergence, log_p, log_q), exact, rtol=1e-6)


def test_pairs_that_are_found_keep_their_gradient() -> None:
    x = 10 * jnp.eye(2)  # logits 100 and 0: the softmax is 1 - e^-100
    x_bar = gradient(info_nce.with_options(temperature=1.0), x / 2, x / 2)
    exact = 5 * np.exp(-25.0) / 2
    np.testing.assert_allclose(x_bar, [[-exact, exact], [exact, -exact]], rtol=1e-6)
    assert info_nce(x[:1], x[:1]) == 0
    shuffled = info_nce(x, x[::-1], temperature=1.0)
    assert shuffled == pytest.approx(100)


def test_vectors_of_length_zero_have_gradient_zero() -> None:
    zero, x = jnp.zeros(3), jnp.array([1.0, 2.0, 3.0])
    assert cosine_distance(zero, x) == 1
    assert gradient(cosine_distance, zero, x).tolist() == [0, 0, 0]
    assert np.isfinite(gradient(triplet, x, x, -x)).all()
    assert gradient(max_norm, jnp.zeros((3, 2))).tolist() == [[0, 0]] * 3


def test_dice_and_huber_by_hand() -> None:
    p = jnp.array([[1.0, 1.0, 0.0]])
    assert dice(p, p) == 0
    assert dice(p, 1 - p, smooth=1) == pytest.approx(1 - 1 / 4)
    y = huber(jnp.array([0.5, 3.0]), jnp.zeros(2), reduction="none")
    np.testing.assert_allclose(y, [0.125, 2.5])
    assert gradient(l1_loss, jnp.ones(2), jnp.ones(2)).tolist() == [0, 0]


def test_nan_is_never_hidden() -> None:
    bad = Y.at[1, 2].set(jnp.nan)
    for name in ("mse", "l1_loss", "huber", "log_cosh", "hinge", "binary_cross_entropy", "focal"):
        assert np.isnan(getattr(losses, name)(bad, P)), name
    assert np.isnan(triplet(bad, T, Y))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ShapeError, match="mse: target has shape"):
        mse(Y, T[0])
    with pytest.raises(OptionError, match="reduction is 'avg'"):
        mse(Y, T, reduction="avg")
    for op, option in ((huber, "delta"), (focal, "gamma"), (dice, "smooth")):
        with pytest.raises(OptionError, match=f"{option} is 0, expected a number above 0"):
            op(Y, P, **{option: 0})
    with pytest.raises(OptionError, match="limit is -1"):
        max_norm(Y, limit=-1)
    assert jax.grad(lambda y: mse(y, T))(Y).shape == (3, 4)
