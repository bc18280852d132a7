"""Cross-entropy over sequences: ignored labels, smoothing, the z-loss, soft targets; and optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from purebp import OptionError, ShapeError
from purebp.losses import soft_cross_entropy, softmax_cross_entropy

LOGITS = 2 * jax.random.normal(jax.random.key(0), (2, 5, 7))
LABELS = jax.random.randint(jax.random.key(1), (2, 5), 0, 7)


def value_and_gradient(op, *args, **options):
    loss, res = op.fwd(*args, **options)
    return loss, op.bwd(res, jnp.ones_like(loss))[0]


@pytest.mark.parametrize("ignore", [-1, -100, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ignored_labels_are_as_if_left_out(ignore, reduction):
    labels = LABELS.at[0, 2:].set(ignore).at[1, 0].set(ignore)
    kept = np.asarray(labels != ignore)
    options = {"reduction": reduction}
    loss, slope = value_and_gradient(
        softmax_cross_entropy, LOGITS, labels, ignore=ignore, **options
    )
    wanted, rest = value_and_gradient(softmax_cross_entropy, LOGITS[kept], labels[kept], **options)
    np.testing.assert_allclose(loss, wanted, rtol=1e-6)
    np.testing.assert_allclose(slope[kept], rest, rtol=1e-6)
    assert not np.any(slope[~kept])


def test_where_all_labels_are_ignored_the_loss_is_zero():
    labels = jnp.full((2, 5), -1)
    loss, slope = value_and_gradient(softmax_cross_entropy, LOGITS, labels, ignore=-1)
    assert loss == 0
    assert not np.any(slope)


def test_other_labels_that_are_no_class_are_still_nan():
    loss, slope = value_and_gradient(softmax_cross_entropy, LOGITS, LABELS - 9, ignore=-1)
    assert np.isnan(loss)
    assert np.isnan(slope).any()


def test_smoothing_is_the_loss_of_smooth_targets():
    targets = optax.smooth_labels(jax.nn.one_hot(LABELS, 7), 0.2)
    by_label = value_and_gradient(softmax_cross_entropy, LOGITS, LABELS, smoothing=0.2)
    by_targets = value_and_gradient(soft_cross_entropy, LOGITS, targets)
    theirs = jax.value_and_grad(lambda z: optax.softmax_cross_entropy(z, targets).mean())(LOGITS)
    for came in (by_label, by_targets):
        np.testing.assert_allclose(came[0], theirs[0], rtol=1e-6)
        np.testing.assert_allclose(came[1], theirs[1], rtol=1e-5, atol=1e-8)


def test_the_z_loss_is_that_of_the_log_of_the_sum():
    options = {"reduction": "sum", "z_loss": 0.3}
    loss, slope = value_and_gradient(softmax_cross_entropy, LOGITS, LABELS, **options)
    plain, rest = value_and_gradient(softmax_cross_entropy, LOGITS, LABELS, reduction="sum")

    def penalty(z):
        return 0.3 * jnp.sum(jax.nn.logsumexp(z, axis=-1) ** 2)

    extra, extra_slope = jax.value_and_grad(penalty)(LOGITS)
    np.testing.assert_allclose(loss, plain + extra, rtol=1e-6)
    np.testing.assert_allclose(slope, rest + extra_slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"ignore": 1.5}, "ignore is 1.5, expected an integer label or None"),
        ({"ignore": True}, "ignore is True, expected an integer label or None"),
        ({"smoothing": 1.0}, "smoothing is 1.0, expected a number from 0 to below 1"),
        ({"z_loss": -0.1}, "z_loss is -0.1, expected a number that is not negative"),
    ],
)
def test_wrong_options(option, message):
    with pytest.raises(OptionError, match=message):
        softmax_cross_entropy(LOGITS, LABELS, **option)


def test_soft_targets_have_the_shape_of_the_logits():
    with pytest.raises(ShapeError, match=r"targets has shape \(2, 5, 6\), expected \(2, 5, 7\)"):
        soft_cross_entropy(LOGITS, LOGITS[..., :6])
    with pytest.raises(ShapeError, match="expected at least one class"):
        soft_cross_entropy(LOGITS[..., :0], LOGITS[..., :0])
