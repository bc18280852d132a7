"""The table: for each primitive of JAX the rule by which cotangents go back through it.

The rules of single nodes are the gates of `purebp.gates`; a row says which, what its options are
called, and how its operands stand. `None`: the derivative is 0 wherever there is one.
"""

from purebp import gates, linalg
from purebp.autodiff import (
    branches,
    calls,
    collectives,
    jits,
    loops,
    matrices,
    named,
    products,
    several,
    shards,
    whiles,
)
from purebp.autodiff.flow import COMPLEX_SIGN
from purebp.autodiff.rule import Rule, of_gate, of_op
from purebp.autodiff.settings import CONVOLUTION, SCATTER, WINDOW, of_reduction, renamed, same
from purebp.gate import Gate

ALL, REST, LAST = slice(None), slice(1, None), slice(2, None)

PLAIN: tuple[Gate, ...] = (
    *(gates.add, gates.sub, gates.mul, gates.div, gates.neg, gates.pow, gates.rem),
    *(gates.square, gates.sqrt, gates.rsqrt, gates.cbrt, gates.abs, gates.max, gates.min),
    *(gates.clamp, gates.exp, gates.exp2, gates.expm1, gates.log, gates.log1p),
    *(gates.sin, gates.cos, gates.tan, gates.asin, gates.acos, gates.atan),
    *(gates.atan2, gates.sinh, gates.cosh, gates.asinh, gates.acosh, gates.atanh),
    *(gates.erf, gates.erfc, gates.erf_inv, gates.lgamma, gates.digamma, gates.zeta),
    *(gates.igamma, gates.igammac, gates.betainc, gates.bessel_i0e, gates.bessel_i1e),
    *(gates.real, gates.imag, gates.complex, gates.conj, gates.identity),
)
"""Gates whose operands are those of the primitive, and that have no options."""

RULES: dict[str, Rule | None] = {
    **{str(gate.primitive): of_gate(gate) for gate in PLAIN},
    "add_any": of_gate(gates.add),
    # options under another name
    "integer_pow": of_gate(gates.integer_pow, renamed(exponent="y")),
    "convert_element_type": of_gate(gates.cast),
    "reduce_precision": of_gate(gates.reduce_precision, same("exponent_bits", "mantissa_bits")),
    "reduce_sum": of_gate(gates.sum, of_reduction),
    "reduce_prod": of_gate(gates.prod, of_reduction),
    "reduce_max": of_gate(gates.reduce_max, of_reduction),
    "reduce_min": of_gate(gates.reduce_min, of_reduction),
    "cumsum": of_gate(gates.cumsum, same("axis", "reverse")),
    "cumprod": of_gate(gates.cumprod, same("axis", "reverse")),
    "cummax": of_gate(gates.cummax, same("axis", "reverse")),
    "cummin": of_gate(gates.cummin, same("axis", "reverse")),
    "cumlogsumexp": of_gate(gates.cumlogsumexp, same("axis", "reverse")),
    "reshape": of_gate(gates.reshape),
    "squeeze": of_gate(gates.squeeze),
    "broadcast_in_dim": of_gate(
        gates.broadcast_to, renamed(shape="shape", axes="broadcast_dimensions")
    ),
    "transpose": of_gate(gates.transpose, renamed(axes="permutation")),
    "rev": of_gate(gates.rev, renamed(axis="dimensions")),
    "tile": of_gate(gates.tile, same("reps")),
    "concatenate": of_gate(gates.concatenate, renamed(axis="dimension"), (ALL,)),
    "stack": of_gate(gates.stack, same("axis"), (ALL,)),
    "unstack": of_gate(gates.unstack, same("axis")),
    "split": of_gate(gates.split, same("axis")),
    "pad": of_gate(gates.pad, renamed(padding="padding_config")),
    "slice": of_gate(
        gates.slice, renamed(start="start_indices", stop="limit_indices", step="strides")
    ),
    "gather": of_gate(gates.gather, same("dimension_numbers", "slice_sizes", "mode")),
    "dynamic_slice": of_gate(gates.dynamic_slice, places=(0, REST)),
    "dynamic_update_slice": of_gate(gates.dynamic_update_slice, places=(0, 1, LAST)),
    "scatter": of_gate(gates.scatter, SCATTER),
    "scatter-add": of_gate(gates.scatter_add, SCATTER),
    "scatter-sub": of_gate(gates.scatter_sub, SCATTER),
    "scatter-mul": of_gate(gates.scatter_mul, SCATTER),
    "scatter-max": of_gate(gates.scatter_max, SCATTER),
    "scatter-min": of_gate(gates.scatter_min, SCATTER),
    "sort": of_gate(gates.sort, renamed(axis="dimension", num_keys="num_keys"), (ALL,)),
    "reduce_window_sum": of_gate(gates.reduce_window_sum, WINDOW),
    "reduce_window_max": of_gate(gates.reduce_window_max, WINDOW),
    "reduce_window_min": of_gate(gates.reduce_window_min, WINDOW),
    "conv_general_dilated": of_gate(gates.conv_general_dilated, CONVOLUTION),
    # what is no gate of its own
    COMPLEX_SIGN: several.complex_sign,
    "tanh": several.tanh,
    "logistic": several.logistic,
    "nextafter": several.nextafter,
    # of newer versions of JAX
    "log2": several.log2,
    "one_minus_square": several.one_minus_square,
    "polynomial": several.polynomial,
    "eval_jaxpr": calls.opened,
    "call_hi_primitive": named.named,
    "dot_general": products.dot_general,
    "ragged_dot_general": products.ragged_dot,
    "select_n": several.select_n,
    "top_k": several.top_k,
    "approx_top_k": several.top_k,
    "polygamma": several.polygamma,
    "fft": several.fft,
    "random_gamma": several.random_gamma,
    **dict.fromkeys(("optimization_barrier", "device_put", "copy_p", "name"), several.identity),
    **dict.fromkeys(("sharding_constraint", "reshard"), several.identity),
    # calls
    "jit": jits.jit,
    "pjit": jits.jit,
    "closed_call": calls.opened,
    "core_call": calls.opened,
    "custom_jvp_call": calls.custom_jvp,
    "custom_vjp_call": calls.custom_vjp,
    "linear_call": calls.linear_call,
    "remat2": calls.checkpoint,
    "checkpoint": calls.checkpoint,
    "scan": loops.scan,
    "cond": branches.switch,
    "while": whiles.while_loop,
    **dict.fromkeys(("pure_callback", "io_callback"), several.callback),
    # several devices
    "shard_map": shards.shard_map,
    "psum": collectives.psum,
    "psum_invariant": collectives.psum_invariant,
    "pvary": collectives.pvary,
    "all_gather": collectives.all_gather,
    "reduce_scatter": collectives.reduce_scatter,
    "ppermute": collectives.ppermute,
    "all_to_all": collectives.all_to_all,
    **dict.fromkeys(("pmax", "pmin"), collectives.extreme),
    # linear algebra
    "cholesky": matrices.cholesky,
    "eigh": matrices.eigh,
    "eig": matrices.eig,
    "svd": matrices.svd,
    "qr": matrices.qr,
    "lu": matrices.lu,
    "triangular_solve": matrices.triangular_solve,
    "custom_linear_solve": matrices.linear_solve,
    "householder_product": of_op(linalg.householder_product),
    "tridiagonal_solve": of_op(linalg.tridiagonal_solve),
    # flat, or not connected at all
    **dict.fromkeys(("sign", "floor", "ceil", "round", "stop_gradient")),
}

OPENED: dict[str, Rule | None] = dict.fromkeys(
    ("custom_jvp_call", "custom_vjp_call", "linear_call"), calls.opened
)
"""The rows for functions with a rule of their own, where that is not taken: through their body."""

EXACT_TAILS: dict[str, Rule | None] = {
    "tanh": of_gate(gates.tanh),
    "logistic": of_gate(gates.sigmoid),
}
"""Rows for `rules=`: slopes that keep their digits in the tails, for an exponential more."""
