"""Mixture of experts: dispatch, ties, experts without tokens, and the balance of the experts."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.benchmark.mixture import dense_mixture, inputs
from purebp.compat import jit_once
from purebp.errors import OptionError
from purebp.layers import mixture_of_experts
from purebp.layers.dispatch import dispatch
from purebp.losses import load_balance

ARGS = tuple(draw(np.random.default_rng(0)) for draw in inputs(12, 4, 5, 3))


@jit_once
def both_passes(*args):
    y, res = mixture_of_experts.fwd(*args)
    return y, mixture_of_experts.bwd(res, jnp.ones_like(y))


@jit_once
def best_alone(*args):
    return mixture_of_experts(*args, top=1)


def test_the_blocks_change_nothing_and_the_dense_form_agrees():
    y_bar = jnp.cos(jnp.arange(48.0)).reshape(12, 4)

    @jit_once
    def all_ways(args):
        wanted, pull = jax.vjp(dense_mixture, *args)
        found = []
        for block in (1, 4, 64):
            y, res = mixture_of_experts.fwd(*args, block=block)
            found.append((y, *mixture_of_experts.bwd(res, y_bar)))
        return found, (wanted, *pull(y_bar))

    found, wanted = all_ways(ARGS)
    for came in found:
        for a, b in zip(came, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_every_token_has_a_row_with_its_expert_and_blocks_have_one_expert():
    chosen = jnp.array([[3, 0], [3, 1], [3, 0], [0, 1], [3, 1], [3, 0]])
    plan = dispatch(chosen, 5, 2)
    places = np.asarray(plan.slots)
    assert len(set(places.ravel().tolist())) == chosen.size
    np.testing.assert_array_equal(np.asarray(plan.experts)[places // 2], chosen)
    sources = np.asarray(plan.sources).ravel()
    np.testing.assert_array_equal(sources[places.ravel()], np.arange(chosen.size))
    assert np.sum(sources < chosen.size) == chosen.size


def test_an_expert_without_tokens_has_no_gradient():
    x, router, *weights = ARGS
    router = router.at[:, 2].set(0).at[0].set(jnp.array([9.0, 9, -9, -9, -9]))
    bars = both_passes(jnp.abs(x), router, *weights)[1]
    for bar in bars[2:]:
        assert np.any(bar[0])
        assert np.any(bar[1])
        assert not np.any(bar[2])


def test_no_tokens():
    x, *weights = ARGS
    y, bars = both_passes(x[:0], *weights)
    assert y.shape == bars[0].shape == (0, 4)
    assert not any(np.any(bar) for bar in bars)


def test_of_those_that_tie_the_first_is_chosen():
    x, router, *weights = ARGS
    tied = best_alone(x, 0 * router, *weights)
    alone = best_alone(x, router[:, :1], *(w[:1] for w in weights))
    np.testing.assert_allclose(tied, alone, rtol=1e-6)


def test_nan_stays_with_its_token():
    x, *weights = ARGS
    y, _ = both_passes(x.at[3].set(jnp.nan), *weights)
    assert np.isnan(y[3]).all()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


def test_balance_is_1_when_experts_are_equally_busy_and_grows():
    losses = [float(load_balance(gap * jnp.eye(4), top=1)) for gap in (1.0, 50.0)]
    np.testing.assert_allclose(losses, 1, rtol=1e-6)
    skewed = [float(load_balance(gap * jnp.eye(4)[:1], top=1)) for gap in (0.0, 1.0, 2.0, 50.0)]
    assert all(a < b for a, b in pairwise(skewed))
    assert skewed[-1] == pytest.approx(4)


def test_wrong_options_are_refused():
    with pytest.raises(OptionError, match="top is 6, expected from 1 to the 5 experts"):
        mixture_of_experts(*ARGS, top=6)
    with pytest.raises(OptionError, match="block is 0"):
        mixture_of_experts(*ARGS, block=0)
    with pytest.raises(OptionError, match="renormalize is None"):
        mixture_of_experts(*ARGS, renormalize=None)
    with pytest.raises(OptionError, match="top is 0, expected from 1 to the 4 experts"):
        load_balance(jnp.ones((2, 4)), top=0)
