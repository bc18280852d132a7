"""The rule that is wrong, among several in one function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.verification.cases import variants
from purebp.verification.diagnosis import in_context
from purebp.verification.diagnosis.culprit import argument_names, culprits
from purebp.verification.probe import Probe
from purebp.verification.rules import first_call, rules_of
from purebp.verification.target import make_target

X = np.asarray([0.4, -1.2, 0.9], np.float32)


@jax.custom_vjp
def good(x):
    return jnp.sin(x)


good.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x) * g,))


@jax.custom_vjp
def halved(x, w):
    return x * w


def halved_fwd(x, w):
    return x * w, (x, w)


def halved_bwd(res, g):
    x, w = res
    return w * g, 0.5 * x * g


halved.defvjp(halved_fwd, halved_bwd)


@jax.custom_jvp
def negated(x):
    return jnp.exp(x)


negated.defjvp(lambda x, dx: (jnp.exp(*x), -jnp.exp(*x) * dx[0]))


def diagnosed(function, *args):
    made = make_target(function, examples=args)
    probe = Probe(made, variants(made)[0], quick=True)
    found = in_context(made, probe, probe.first)
    assert found is not None
    return found


def one_wrong(x, w):
    return good(jax.jit(halved)(good(x), w)).sum()


def two_wrong(x, w):
    return negated(halved(good(x), w)).sum()


def in_a_loop(x, w):
    return jax.lax.scan(lambda c, t: (good(halved(c, t)), None), x, jnp.stack([w, w]))[0]


@pytest.mark.parametrize("function", [one_wrong, in_a_loop])
def test_the_wrong_rule_is_named_with_what_is_wrong_with_it(function):
    found = diagnosed(function, X, 2 * X)
    assert found.text.startswith("the rule of halved (test_culprit.py:")
    assert "is wrong: w_bar is 2 times too small" in found.text


def test_several_wrong_rules_are_named_each_with_its_mistake():
    found = diagnosed(two_wrong, X, 2 * X)
    assert "the rule of halved (test_culprit.py:" in found.text
    assert "and that of negated (test_culprit.py:" in found.text
    assert "halved: w_bar is 2 times too small" in found.text
    assert "negated: x_bar has the wrong sign" in found.text


def test_right_rules_are_not_blamed():
    made = make_target(one_wrong, examples=(X, 2 * X))
    probe = Probe(made, variants(made)[0], quick=True)
    assert [rule.name for rule in culprits(made, probe, probe.first)] == ["halved"]


def test_the_names_of_arguments_are_read_in_the_file_where_they_fit():
    rules = {rule.name: rule for rule in rules_of(two_wrong, X, X)}

    def names(name):
        call = first_call(two_wrong, rules[name], X, X)
        assert call is not None
        return [parameter.name for parameter in argument_names(rules[name], call)]

    assert names("halved") == ["x", "w"]
    assert names("negated") == ["x"]
    call = first_call(two_wrong, rules["halved"], X, X)
    assert call is not None
    assert argument_names(rules["negated"], call) == ()
    assert argument_names(rules["halved"]._replace(file="nowhere.py"), call) == ()
