"""Values of an option that come from a strategy of Hypothesis."""

from typing import Any

from hypothesis import HealthCheck, Phase, currently_in_test_context, given, settings
from hypothesis.strategies import SearchStrategy

from purebp.errors import OptionError

DRAWN = 5
"""So many different values are tried."""


def drawn(strategy: SearchStrategy[Any]) -> tuple[Any, ...]:
    """Different values of a strategy, the same ones each time; the first is the simplest."""
    if currently_in_test_context():
        raise OptionError(
            "static has a strategy inside of a Hypothesis test; expected a value that the test "
            "itself draws, as in static={'stride': data.draw(strides)}"
        )
    found = list[Any]()

    @settings(
        max_examples=4 * DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(strategy)
    def keep(value: Any) -> None:
        if value not in found:
            found.append(value)

    keep()
    return tuple(found[:DRAWN])
