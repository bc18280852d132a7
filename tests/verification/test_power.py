"""Which planted mistakes the inputs would show."""

import jax
import jax.numpy as jnp
import numpy as np

import purebp
from purebp.verification.cases import variants
from purebp.verification.power import Power
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3)), jnp.float32)


def scaled_fwd(x, w):
    return jax.nn.relu(x) * w, (x, w)


def scaled_bwd(residuals, y_bar):
    x, w = residuals
    return y_bar * w * (x > 0), y_bar * jax.nn.relu(x)


def power_of(*args, pair=(scaled_fwd, scaled_bwd)):
    """The power of the example alone."""
    target = make_target(pair, examples=args)
    probe = Probe(target, variants(target)[0])
    power = Power()
    power.look(probe, probe.first)
    return power


def test_ordinary_inputs_show_every_mistake():
    power = power_of(X, X)
    assert len(power.planted) == 13
    assert power.unseen == ()


def test_an_argument_without_a_gradient_at_these_inputs_is_named():
    power = power_of(-jnp.abs(X), X)
    assert power.unseen == (
        "is wrong about x in any way",
        "is wrong about w in any way",
        "reads the first number of y_bar only",
    )


def test_an_axis_of_one_hides_a_mean_over_it():
    assert power_of(X[:1], X[:1]).unseen == (
        "divides x_bar by the size of axis 0",
        "divides w_bar by the size of axis 0",
    )


def test_an_argument_that_is_declared_to_have_no_gradient_needs_none():
    def first_fwd(x, w):
        return 2 * x, ()

    def first_bwd(residuals, y_bar):
        return 2 * y_bar, None

    power = power_of(X, X, pair=(first_fwd, first_bwd))
    assert power.unseen == ()
    assert all(argument != "w" for argument, _ in power.planted)


def test_what_one_case_does_not_show_another_may():
    target = make_target((scaled_fwd, scaled_bwd), examples=(X[:1], X[:1]))
    power = Power()
    for variant in variants(target)[:3]:
        probe = Probe(target, variant)
        power.look(probe, probe.first)
    assert power.unseen == ()


def test_the_report_tells_what_would_not_be_seen():
    def floor_fwd(x, w):
        return jnp.floor(x) * w, x

    def floor_bwd(x, y_bar):
        return jnp.zeros_like(x), y_bar * jnp.floor(x)

    report = purebp.verify((floor_fwd, floor_bwd), X + 0.2, X, budget="quick")
    assert report.ok
    assert report.unseen == ("is wrong about x in any way",)
    assert "these inputs would not show a backward pass that is wrong about x" in str(report)
    assert report.to_dict()["planted"] == report.planted
