"""Mutants that no check can kill, because their gradient is right; each with its reason."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Equivalent(NamedTuple):
    """Mutants of one expression of a function, and why they are right.

    Where others of the same expression are killed, it counts for those that live.
    """

    name: str
    before: str
    reason: str


CENTRE = "the mean of x_hat is 0 but for rounding: the term mends digits"
SHARDING = "only the sharding of the cotangent is read here"
SIZES = "more is padded than needed, and cut off again"
SERIES = "the term is below the tolerance of eight roundings"

EQUIVALENT: tuple[Equivalent, ...] = (
    Equivalent("activations.axis.standardize_bwd", "x_hat - centre", CENTRE),
    Equivalent("layers.norm.normalize_x_bar", "x_hat - centre", CENTRE),
    Equivalent(
        "layers.group_norm.group_norm_bwd",
        "_in_groups(widen(x), groups) - mean - rest",
        "rest is what rounding left of the mean",
    ),
    Equivalent(
        "layers.group_norm.group_norm_bwd",
        "(x, mean, rest, r, gamma, beta)",
        "mean and rest are only added to each other",
    ),
    Equivalent("gates.hyperbolic._cosh", "(large, small)", "they are only added"),
    Equivalent(
        "gates.special.trigamma", "5 / 66 - square * (691 / 2730 - square * (7 / 6))", SERIES
    ),
    Equivalent("gates.special.trigamma", "691 / 2730 - square * (7 / 6)", SERIES),
    Equivalent("gates.special.trigamma", "691 / 2730", SERIES),
    Equivalent("gates.special.trigamma", "square * (7 / 6)", SERIES),
    Equivalent("gates.special.trigamma", "7 / 6", SERIES),
    Equivalent(
        "gates.special.trigamma",
        "x - jnp.round(x)",
        "the sine of pi x is squared: whole turns change its rounding alone",
    ),
    Equivalent("gates.dispersion.norm_bwd", "res.norm", "x_bar is 0 where x is, either way"),
    Equivalent(
        "layers.adaptive_pool._spread",
        "width * len(windows)",
        "it chooses between two ways that give the same",
    ),
    Equivalent(
        "layers.batch_norm.batch_norm_eval_bwd",
        "(x, gamma, mean, r, beta, var)",
        "beta and var are specs of arrays of one shape and dtype",
    ),
    Equivalent("gates.linalg.matmul_x_bar", "z_bar", SHARDING),
    Equivalent("gates.linalg.matmul_y_bar", "z_bar", SHARDING),
    Equivalent("gates.linalg._product", "z_bar", SHARDING),
    Equivalent("gates.sliding.dynamic_slice_x_bar", "y_bar", SHARDING),
    Equivalent("gates.sliding.dynamic_update_slice_x_bar", "y_bar", SHARDING),
    Equivalent("gates.power_sums.slope_of_zeta", "(first, second)", "they are only multiplied"),
    Equivalent("layers.resize._shift", "(moved, kept)", "both are lists of zeros here"),
    Equivalent(
        "linalg.power.matrix_power_bwd", "y_bar", "the last cotangent of the loop is not used"
    ),
    Equivalent(
        "layers.add_norm.add_rms_norm_bwd",
        "(norm, x, residual)",
        "x and residual are specs of arrays of one shape and dtype",
    ),
    Equivalent(
        "activations.smooth._largest_exponent",
        "math.log(float(jnp.finfo(x.dtype).max)) - 0.1",
        "a little below the overflow or a little more",
    ),
    Equivalent("layers.pool._put_back", "steps.outputs + turns - 1", SIZES),
    Equivalent("layers.depthwise.input_gradient", "axis.size + axis.low - axis.reach", SIZES),
    Equivalent(
        "layers.gated_attention._sum_before",
        "x.shape[axis] - 1",
        "-1 counts from the end: the same place",
    ),
    Equivalent(
        "layers.gated_attention.gated_linear_attention_bwd",
        "jnp.sum(jnp.where(own, scores_bar, 0), axis=1)",
        "what is left is a diagonal: its sums over rows are those over columns",
    ),
)


def reason_of(line: Mapping[str, Any]) -> str:
    """Why a mutant is right; empty if there is no reason to think so."""
    matching = (e for e in EQUIVALENT if (e.name, e.before) == (line["name"], line["before"]))
    return next((e.reason for e in matching), "")
