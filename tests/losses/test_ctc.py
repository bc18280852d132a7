"""CTC: against optax, at the edges of what labels and times allow, and with long texts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from purebp import DtypeError, OptionError, ShapeError
from purebp.losses import ctc

N, T, V, S = 4, 12, 6, 4
LOGITS = 2 * jax.random.normal(jax.random.key(0), (N, T, V))
LABELS = jnp.asarray([[1, 1, 2, 2], [5, 4, 3, 2], [3, 1, 3, 1], [2, 2, 2, 2]])
LENGTHS = jnp.asarray([12, 9, 4, 10]), jnp.asarray([4, 3, 2, 0])


def value_and_gradient(logits, labels, *lengths, **options):
    losses, res = ctc.fwd(logits, labels, *lengths, reduction="none", **options)
    return losses, ctc.bwd(res, jnp.ones_like(losses))[0]


def by_optax(logits, labels, logit_lengths, label_lengths, blank=0):
    paddings = [
        (jnp.arange(size) >= ends[:, None]).astype(jnp.float32)
        for size, ends in ((logits.shape[1], logit_lengths), (labels.shape[1], label_lengths))
    ]
    return optax.ctc_loss(logits, paddings[0], labels, paddings[1], blank_id=blank)


@pytest.mark.parametrize("blank", [0, 5])
def test_values_and_gradients_are_those_of_optax(blank):
    labels = jnp.where(blank == LABELS, 0, LABELS)
    losses, slopes = value_and_gradient(LOGITS, labels, *LENGTHS, blank=blank)
    wanted, pull = jax.vjp(lambda z: by_optax(z, labels, *LENGTHS, blank=blank), LOGITS)
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes, pull(jnp.ones(N))[0], atol=2e-6)
    assert not np.any(slopes[1, 9:])


def test_what_is_beyond_the_lengths_does_not_matter():
    labels = LABELS.at[2, 2:].set(-1).at[3].set(99)
    logits = LOGITS.at[1, 9:].set(1e3)
    for came, wanted in zip(
        value_and_gradient(logits, labels, *LENGTHS),
        value_and_gradient(LOGITS, LABELS, *LENGTHS),
        strict=True,
    ):
        np.testing.assert_array_equal(came, wanted)


def test_without_lengths_all_counts():
    full = jnp.full(N, T), jnp.full(N, S)
    assert ctc(LOGITS, LABELS) == ctc(LOGITS, LABELS, *full)


def test_too_few_times_for_the_labels():
    """Two equal labels need three times: a blank has to part them."""
    logits, two, one = LOGITS[:1, :2], jnp.asarray([[1, 1]]), jnp.asarray([[1, 2]])
    losses, slopes = value_and_gradient(logits, two)
    assert losses[0] == np.inf
    assert np.isnan(slopes).all()
    losses, slopes = value_and_gradient(logits, one)
    p = jax.nn.log_softmax(logits[0])
    np.testing.assert_allclose(losses[0], -p[0, 1] - p[1, 2], rtol=1e-6)
    np.testing.assert_allclose(slopes[0], jnp.exp(p) - jax.nn.one_hot([1, 2], V), atol=1e-6)


def test_no_labels_and_no_times():
    none = jnp.zeros((N, 0), jnp.int32)
    losses, _ = value_and_gradient(LOGITS, none)
    np.testing.assert_allclose(losses, -jax.nn.log_softmax(LOGITS)[..., 0].sum(1), rtol=1e-6)
    losses, slopes = value_and_gradient(LOGITS[:, :0], none)
    assert losses.tolist() == [0] * N
    assert slopes.shape == (N, 0, V)
    losses, _ = value_and_gradient(LOGITS[:, :0], LABELS)
    assert losses.tolist() == [np.inf] * N


def test_a_label_that_is_no_class_is_nan():
    losses, slopes = value_and_gradient(LOGITS, LABELS.at[0, 1].set(V).at[1, 0].set(-1))
    assert np.isnan(losses).tolist() == [True, True, False, False]
    assert np.isnan(slopes[:2]).any()
    assert not np.isnan(slopes[2:]).any()


def test_a_long_text_does_not_underflow():
    logits = 4 * jax.random.normal(jax.random.key(1), (1, 600, 30))
    labels = jax.random.randint(jax.random.key(2), (1, 60), 1, 30)
    losses, slopes = value_and_gradient(logits, labels)
    assert 500 < losses[0] < 1e5
    np.testing.assert_allclose(slopes.sum(-1), 0, atol=1e-5)


def test_wrong_arguments():
    with pytest.raises(OptionError, match="blank is 6, expected a class from 0 to 5"):
        ctc(LOGITS, LABELS, blank=6)
    with pytest.raises(DtypeError, match="labels has dtype float32, expected an integer dtype"):
        ctc(LOGITS, jnp.ones((N, S)))
    with pytest.raises(ShapeError, match=r"logit_lengths has shape \(3,\), expected \(4,\)"):
        ctc(LOGITS, LABELS, jnp.ones(3, jnp.int32))
