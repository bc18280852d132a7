"""At a kink any gradient between the nearby ones is right, however many entries tie."""

import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.verification.cases import variants
from purebp.verification.kinks import conventional_jacobian
from purebp.verification.probe import Probe
from purebp.verification.target import make_target


def largest_fwd(x):
    """The largest of four, row by row, and which it is."""
    return jnp.max(x, axis=-1), (x, jnp.argmax(x, axis=-1))


def first_bwd(saved, y_bar):
    x, winner = saved
    return (jnp.where(jnp.arange(x.shape[-1]) == winner[..., None], y_bar[..., None], 0),)


def all_bwd(saved, y_bar):
    """Each of several that tie gets everything."""
    x, _ = saved
    return (jnp.where(x == x.max(-1, keepdims=True), y_bar[..., None], 0),)


def probe_of(bwd, rows):
    x = np.random.default_rng(0).standard_normal((rows, 4)).astype(np.float32)
    made = make_target((largest_fwd, bwd), examples=(x,))
    return Probe(made, variants(made)[0])


@pytest.mark.parametrize("rows", [60, 200])
def test_the_first_of_many_that_tie_may_get_everything(rows):
    probe = probe_of(first_bwd, rows)
    assert probe.has_jacobian == (rows == 60)
    zeros = probe.first._replace(pattern="nothing")
    found = conventional_jacobian(probe, zeros)
    assert found is not None
    assert np.array_equal(found[:, ::4], np.eye(rows))
    assert not found[:, 1::4].any()


@pytest.mark.parametrize("rows", [60, 200])
def test_all_that_tie_may_not(rows):
    probe = probe_of(all_bwd, rows)
    zeros = probe.first._replace(pattern="nothing")
    found = conventional_jacobian(probe, zeros)
    hand = np.repeat(np.eye(rows), 4, axis=1)
    assert found is None or not np.array_equal(found, hand)


@pytest.mark.parametrize(("bwd", "verdict"), [(first_bwd, "convention"), (all_bwd, "fail")])
def test_the_verdict_is_a_convention_or_a_mistake(bwd, verdict):
    x = np.random.default_rng(0).standard_normal((50, 3, 4)).astype(np.float32)
    assert purebp.verify((largest_fwd, bwd), x, budget="quick", seed=0).verdict == verdict
