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


def pool_forward(x, size=2):
    n, c, h, w = x.shape
    windows = x.reshape(n, c, h // size, size, w // size, size)
    out = windows.max(axis=(3, 5))
    return out, (windows, out)


def spread(dout, cache, *, shared):
    windows, out = cache
    mask = windows == out[:, :, :, None, :, None]
    dx = mask * dout[:, :, :, None, :, None]
    dx = dx / mask.sum(axis=(3, 5), keepdims=True) if shared else dx
    n, c, h, a, w, b = windows.shape
    return dx.reshape(n, c, h * a, w * b)


def pool_backward(dout, cache):
    return spread(dout, cache, shared=False)


def shared_backward(dout, cache):
    return spread(dout, cache, shared=True)


def first_backward(dout, cache):
    windows, _ = cache
    n, c, h, a, w, b = windows.shape
    flat = windows.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h, w, a * b)
    dx = np.eye(a * b)[flat.argmax(axis=-1)] * dout[..., None]
    return dx.reshape(n, c, h, w, a, b).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h * a, w * b)


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, x):
    return dout * (x > 0)


def twice_backward(dout, x):
    return dout * (x > 0) + 2 * dout * (x == 0)


@pytest.mark.parametrize(
    ("forward", "backward", "diagnosis"),
    [
        (pool_forward, pool_backward, "where 2 entries tie, each gets all of the cotangent"),
        (pool_forward, shared_backward, ""),
        (pool_forward, first_backward, ""),
        (relu_forward, relu_backward, ""),
        (relu_forward, twice_backward, "wrong exactly where |x| is 0"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_numpy_layers_are_held_to_conventions_too(forward, backward, diagnosis):
    example = np.random.default_rng(0).standard_normal((1, 1, 4, 4))
    report = purebp.verify((forward, backward), example, budget="quick")
    assert report.ok == (not diagnosis)
    assert diagnosis in str(report)
