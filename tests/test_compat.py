"""What is asked of JAX's custom rules: the function under one, and what it does not move."""

from functools import partial

import jax
import pytest

from purebp.compat import custom_rule_body, fixed_arguments, is_custom_rule


def power(x, n, scale):
    return scale * x**n


def rule(kind, **fixed):
    return partial(kind, **fixed)(power) if fixed else kind(power)


KINDS = (jax.custom_vjp, jax.custom_jvp)


@pytest.mark.parametrize("kind", KINDS)
def test_both_kinds_of_rules_are_known_and_hold_their_function(kind):
    assert is_custom_rule(rule(kind))
    assert custom_rule_body(rule(kind)) is power


@pytest.mark.parametrize("other", [power, jax.jit(abs), partial(power, n=2), 3, None])
def test_what_has_no_rule_is_none(other):
    assert not is_custom_rule(other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fixed", "places"),
    [
        ({}, ()),
        ({"nondiff_argnums": (1,)}, (1,)),
        ({"nondiff_argnums": (2, 1)}, (1, 2)),
    ],
)
def test_fixed_arguments_come_by_number_in_order(kind, fixed, places):
    assert fixed_arguments(rule(kind, **fixed)) == places


def test_fixed_arguments_come_by_name_too():
    assert fixed_arguments(rule(jax.custom_vjp, nondiff_argnames=("scale",))) == (2,)
    both = rule(jax.custom_vjp, nondiff_argnums=(1,), nondiff_argnames=("scale",))
    assert fixed_arguments(both) == (1, 2)
