"""How much is tried: `quick`, `normal` or `thorough`."""

from typing import Literal, NamedTuple

from purebp.errors import OptionError

BudgetName = Literal["quick", "normal", "thorough"]


class Budget(NamedTuple):
    """Counts, not seconds: the same budget and seed always try the same inputs.

    `shapes`, `shapes_by_option`: of a target that is known by an example, at its defaults and for
    each other setting. `examples`: inputs drawn for each variant, on top of one for each kind of
    values. `shrink`: inputs tried to make a failure smaller.
    """

    shapes: int
    shapes_by_option: int
    examples: int
    shrink: int


BUDGETS: dict[str, Budget] = {
    "quick": Budget(shapes=4, shapes_by_option=1, examples=1, shrink=10),
    "normal": Budget(shapes=14, shapes_by_option=2, examples=3, shrink=30),
    "thorough": Budget(shapes=60, shapes_by_option=6, examples=40, shrink=200),
}
NORMAL = BUDGETS["normal"]


def budget_named(name: str) -> Budget:
    """The budget of a name."""
    if name not in BUDGETS:
        raise OptionError(f"budget is {name!r}, expected one of {', '.join(BUDGETS)}")
    return BUDGETS[name]
