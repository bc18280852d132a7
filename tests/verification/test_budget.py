"""How much is tried."""

import jax.numpy as jnp
import pytest

import purebp
from purebp.errors import OptionError
from purebp.verification.budget import BUDGETS
from purebp.verification.cases import variants
from purebp.verification.target import make_target


def double_fwd(x, w):
    return 2 * x * w, (x, w)


def double_bwd(residuals, y_bar):
    x, w = residuals
    return 2 * w * y_bar, 2 * x * y_bar


X = jnp.arange(1.0, 7.0).reshape(2, 3)


def test_a_larger_budget_tries_more():
    target = make_target((double_fwd, double_bwd), examples=(X, X))
    tried = [variants(target, budget) for budget in BUDGETS.values()]
    assert len(tried[0]) < len(tried[1]) <= len(tried[2])
    assert set(tried[0]) <= set(tried[1]) <= set(tried[2])
    quick = purebp.verify((double_fwd, double_bwd), X, X, budget="quick")
    normal = purebp.verify((double_fwd, double_bwd), X, X)
    assert quick.ok
    assert normal.ok
    assert quick.checks["jacobian"].cases < normal.checks["jacobian"].cases


def test_an_unknown_budget_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match="budget is 'huge', expected one of quick, normal"):
        purebp.verify((double_fwd, double_bwd), X, X, budget="huge")  # type: ignore[reportArgumentType]
