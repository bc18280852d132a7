"""Views made by hand: one argument of a backward pass, right or wrong in a known way."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from purebp.verification.diagnosis.views import Diagnosis, View

RNG = np.random.default_rng(7)
DENSE = RNG.standard_normal((5, 4))
SQUARE = RNG.standard_normal((4, 4))
X4 = np.array([0.5, -1.25, 2.0, -0.75])
Rule = Callable[[View], Diagnosis | None]


def view(
    right: np.ndarray,
    wrong: np.ndarray,
    *,
    x: np.ndarray | None = None,
    output: tuple[tuple[int, ...], ...] | None = None,
    others: Mapping[str, np.ndarray] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    pull: Callable[[np.ndarray], np.ndarray] | None = None,
    options: Mapping[str, Any] | None = None,
) -> View:
    """The argument x with Jacobians; what is not given is plain and fits."""
    right, wrong = np.asarray(right, float), np.asarray(wrong, float)
    x = np.random.default_rng(1).standard_normal(right.shape[1]) if x is None else np.asarray(x)
    return View(
        name="x",
        shape=x.shape,
        x=x,
        right=right,
        wrong=wrong,
        others=others or {},
        arrays={"x": x, **(arrays or {})},
        output=output or ((right.shape[0],),),
        pull=pull or (lambda y_bar: y_bar @ wrong),
        options=options or {},
    )


def kind(rule: Rule, seen: View) -> str:
    """What a rule says, in a word."""
    found = rule(seen)
    return found.kind if found is not None else "quiet"


RIGHT = view(DENSE, DENSE)
RIGHT_BY_ROUNDING = view(DENSE, DENSE * (1 + 1e-12 * RNG.standard_normal(DENSE.shape)))
UNRELATED = view(DENSE, RNG.standard_normal(DENSE.shape))
