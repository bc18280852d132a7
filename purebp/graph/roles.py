"""What each gate does with a gradient, in the words of a lecture: one row for each primitive."""

from collections.abc import Mapping
from typing import NamedTuple


class Role(NamedTuple):
    """The sign that is drawn, the part a gate plays in the backward pass, its local gradient.

    In `local`, x and z are the operands and y is the output.
    """

    symbol: str
    part: str = ""
    local: str = ""


DISTRIBUTOR = "distributor"
SWITCHER = "switcher"
ROUTER = "router"
ADDER = "adder"

ROLES: Mapping[str, Role] = {
    "add": Role("+", DISTRIBUTOR, "1, 1"),
    "add_any": Role("+", DISTRIBUTOR, "1, 1"),
    "sub": Role("−", DISTRIBUTOR, "1, −1"),
    "mul": Role("×", SWITCHER, "z, x"),
    "div": Role("÷", SWITCHER, "1/z, −x/z²"),
    "dot_general": Role("@", SWITCHER, "the other matrix"),
    "conv_general_dilated": Role("conv", SWITCHER, "the other array"),
    "neg": Role("·(−1)", "", "−1"),
    "abs": Role("|x|", ROUTER, "sign x"),
    "sign": Role("sign", "", "0"),
    "square": Role("x²", "", "2x"),
    "integer_pow": Role("xⁿ", "", "n xⁿ⁻¹"),
    "pow": Role("xᶻ", "", "z xᶻ⁻¹, y log x"),
    "sqrt": Role("√", "", "1/(2y)"),
    "rsqrt": Role("1/√", "", "−y³/2"),
    "cbrt": Role("∛", "", "1/(3y²)"),
    "exp": Role("exp", "", "y"),
    "exp2": Role("2ˣ", "", "y log 2"),
    "expm1": Role("exp−1", "", "exp x"),
    "log": Role("log", "", "1/x"),
    "log1p": Role("log(1+x)", "", "1/(1+x)"),
    "logistic": Role("σ", "", "y(1−y)"),
    "tanh": Role("tanh", "", "1−y²"),
    "sin": Role("sin", "", "cos x"),
    "cos": Role("cos", "", "−sin x"),
    "tan": Role("tan", "", "1+y²"),
    "erf": Role("erf", "", "2/√π exp(−x²)"),
    "max": Role("max", ROUTER, "1 for the larger, else 0"),
    "min": Role("min", ROUTER, "1 for the smaller, else 0"),
    "clamp": Role("clamp", ROUTER, "1 inside, else 0"),
    "select_n": Role("where", ROUTER, "1 for the chosen, else 0"),
    "reduce_max": Role("max", ROUTER, "1 for the largest, else 0"),
    "reduce_min": Role("min", ROUTER, "1 for the smallest, else 0"),
    "argmax": Role("argmax", "", "none"),
    "argmin": Role("argmin", "", "none"),
    "sort": Role("sort", ROUTER, "a permutation"),
    "reduce_window_max": Role("max pool", ROUTER, "1 for the largest, else 0"),
    "reduce_sum": Role("Σ", DISTRIBUTOR, "1"),
    "reduce_prod": Role("Π", SWITCHER, "the product of the others"),
    "cumsum": Role("cumsum", DISTRIBUTOR, "1 for each later sum"),
    "broadcast_in_dim": Role("copy", ADDER, "1 for each copy"),
    "copy": Role("copy", "", "1"),
    "concatenate": Role("concat", ROUTER, "1 for its own part"),
    "slice": Role("slice", ROUTER, "1 inside, else 0"),
    "dynamic_slice": Role("slice", ROUTER, "1 inside, else 0"),
    "dynamic_update_slice": Role("update", ROUTER, "1 for what is kept"),
    "gather": Role("gather", ROUTER, "1 for what is taken, as often as it is"),
    "scatter": Role("scatter", ROUTER, "1 for what is kept"),
    "scatter-add": Role("scatter +", DISTRIBUTOR, "1, 1"),
    "pad": Role("pad", ROUTER, "1 inside, else 0"),
    "rev": Role("reverse", "", "the same order back"),
    "transpose": Role("transpose", "", "the axes back"),
    "reshape": Role("reshape", "", "the shape back"),
    "squeeze": Role("squeeze", "", "the shape back"),
    "expand_dims": Role("expand", "", "the shape back"),
    "convert_element_type": Role("cast", "", "1"),
    "relu": Role("ReLU", ROUTER, "1 where x > 0, else 0"),
    "sigmoid": Role("σ", "", "y(1−y)"),
    "silu": Role("SiLU", "", "σ + xσ(1−σ)"),
    "softmax": Role("softmax", "", "diag y − y yᵀ"),
}
"""By the name of a primitive, or of a function that has a rule of its own."""

WIRES = frozenset(
    {
        *("reshape", "squeeze", "expand_dims", "copy", "convert_element_type", "broadcast_in_dim"),
        *("reduce_precision", "optimization_barrier", "pvary", "stop_gradient"),
    }
)
"""Gates that hand on the same numbers, if as many come out as go in: they are drawn as wires."""


def role_of(name: str) -> Role:
    """The row of a gate; one that is not in the table is drawn by its name."""
    return ROLES.get(name, Role(name))
