"""Rules of the primitives of linear algebra, by the gates and ops of `purebp.linalg`.

The primitives return more, or in another order or sign, than the ops; the formulas are the same.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from purebp.autodiff.flow import refused
from purebp.autodiff.rule import Rule, Step, Values, dense
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import eig_with_derivatives, run_equation
from purebp.linalg.cholesky import cholesky_a_bar
from purebp.linalg.eigen import Eigen, eigh_bwd
from purebp.linalg.eigen_general import GeneralEigen, eig_bwd
from purebp.linalg.lu import LUResiduals, lu_bwd
from purebp.linalg.matrices import transposed
from purebp.linalg.qr import QRResiduals, qr_bwd
from purebp.linalg.solve import TriangularResiduals, triangular_solve_bwd
from purebp.linalg.svd import SVDResiduals, svd_bwd, svdvals_bwd, svdvals_fwd
from purebp.residuals import Static, spec_of


def _pulled(bwd: Callable[..., Values], saved: Any, *bars: Any) -> list[Any]:
    """The pullback of a factorisation with conjugates in it, as those of real matrices are written.

    Such a formula goes from the gradients of the factors, the conjugated cotangents, to that of
    the matrix.
    """
    conjugated = tuple(map(jnp.conj, bars))
    return list(map(jnp.conj, bwd(saved, conjugated if len(bars) > 1 else conjugated[0])))


def _cholesky_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    """What lies above the diagonal of the primitive's result is not said to be 0."""
    (y,) = run_equation(step.equation, args)
    return [y], jnp.tril(y)


def _cholesky_backward(step: Step, y: Any, bars: Values) -> Values:
    return _pulled(lambda y, y_bar: [cholesky_a_bar(y_bar, y)], y, jnp.tril(bars[0]))


cholesky = Rule(_cholesky_forward, _cholesky_backward)


def _eigh_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    if step.equation.params["subset_by_index"] is not None:
        raise refused(step.equation, "some eigenvalues alone say too little")
    v, w = run_equation(step.equation, args)
    return [v, w], Eigen(w, v)


def _eigh_backward(step: Step, saved: Eigen, bars: Values) -> Values:
    v_bar, w_bar = dense(step.equation, bars)
    return _pulled(eigh_bwd, saved, w_bar, v_bar)


eigh = Rule(_eigh_forward, _eigh_backward)


def _eig_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    params, (a,) = step.equation.params, args
    if params["compute_left_eigenvectors"] and step.arriving[1]:
        raise refused(step.equation, "the left eigenvectors have no rule")
    if params["compute_right_eigenvectors"]:
        outs = run_equation(step.equation, args)
        v = outs[-1]
    else:
        w, v = eig_with_derivatives(a)
        outs = [w, *run_equation(step.equation, args)[1:]]
    return outs, GeneralEigen(outs[0], v, Static(jnp.iscomplexobj(a)))


def _eig_backward(step: Step, saved: GeneralEigen, bars: Values) -> Values:
    """The formula is one of cotangents: nothing in it but the length of a vector is conjugated."""
    w_bar, *of_vectors = dense(step.equation, bars)
    right = step.equation.params["compute_right_eigenvectors"]
    return eig_bwd(saved, (w_bar, of_vectors[-1] if right else jnp.zeros_like(saved.v)))


eig = Rule(_eig_forward, _eig_backward)


def _svd_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    params, shape = step.equation.params, args[0].shape
    if params["subset_by_index"] is not None:
        raise refused(step.equation, "some singular values alone say too little")
    if not params["compute_uv"]:
        s, residuals = svdvals_fwd(args[0])
        return [s], residuals
    if params["full_matrices"] and shape[-1] != shape[-2]:
        raise refused(step.equation, "the further singular vectors are no functions of the matrix")
    s, u, vt = run_equation(step.equation, args)
    return [s, u, vt], SVDResiduals(u, s, vt)


def _svd_backward(step: Step, saved: Any, bars: Values) -> Values:
    if not step.equation.params["compute_uv"]:
        return _pulled(svdvals_bwd, saved, bars[0])
    s_bar, u_bar, vt_bar = dense(step.equation, bars)
    return _pulled(svd_bwd, saved, u_bar, s_bar, vt_bar)


svd = Rule(_svd_forward, _svd_backward)


def _qr_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    params, (m, n) = step.equation.params, args[0].shape[-2:]
    if params["pivoting"] or (params["full_matrices"] and m > n):
        raise refused(step.equation, "pivoting and the further columns of q have no rule")
    q, r = run_equation(step.equation, args)
    return [q, r], QRResiduals(q, r)


def _qr_backward(step: Step, saved: QRResiduals, bars: Values) -> Values:
    q_bar, r_bar = dense(step.equation, bars)
    return _pulled(qr_bwd, saved, q_bar, r_bar)


qr = Rule(_qr_forward, _qr_backward)


def _lu_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    packed, pivots, permutation = run_equation(step.equation, args)
    residuals = LUResiduals(packed, permutation, Static(args[0].shape[-2:]))
    return [packed, pivots, permutation], residuals


def _lu_backward(step: Step, saved: LUResiduals, bars: Values) -> Values:
    """Both triangles lie in one matrix."""
    k = min(saved.size.value)
    l_bar, u_bar = jnp.tril(bars[0], -1)[..., :k], jnp.triu(bars[0])[..., :k, :]
    return lu_bwd(saved, (l_bar, u_bar))


lu = Rule(_lu_forward, _lu_backward)


def _triangular_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    (x,) = run_equation(step.equation, args)
    return [x], (args[0], x)


def _triangular_backward(step: Step, saved: Any, bars: Values) -> Values:
    """x T = b is T^T x^T = b^T; a conjugated a has a conjugated cotangent."""
    (a, x), x_bar, params = saved, bars[0], step.equation.params
    a = jnp.conj(a) if params["conjugate_a"] else a
    left = params["left_side"]
    options = {"lower": params["lower"], "unit_diagonal": params["unit_diagonal"]}
    options["transpose"] = params["transpose_a"] if left else not params["transpose_a"]
    x, x_bar = (x, x_bar) if left else (transposed(x), transposed(x_bar))
    a_bar, b_bar = triangular_solve_bwd(TriangularResiduals(a, x, spec_of(x)), x_bar, **options)
    a_bar = jnp.conj(a_bar) if params["conjugate_a"] else a_bar
    return a_bar, b_bar if left else transposed(b_bar)


triangular_solve = Rule(_triangular_forward, _triangular_backward)


def _linear_solve_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    outs = run_equation(step.equation, args)
    return outs, (list(args), outs)


def _linear_solve_backward(step: Step, saved: Any, bars: Values) -> Values:
    """A x = b: A^T b_bar = x_bar, and A_bar by the pullback of x -> A x at -b_bar."""
    args, outs = saved
    equation, params = step.equation, step.equation.params
    lengths, programs = params["const_lengths"], params["jaxprs"]
    if programs.transpose_solve is None:
        raise refused(equation, "it was not given transpose_solve")
    groups, start = list[list[Any]](), 0
    for count in lengths:
        groups.append(args[start : start + count])
        start += count
    matvec, vecmat, solve, transpose_solve = groups
    turned = {**params, "const_lengths": lengths.transpose(), "jaxprs": programs.transpose()}
    operands = [*vecmat, *matvec, *transpose_solve, *solve, *dense(equation, bars)]
    b_bars = equation.primitive.bind(*operands, **turned)
    wanted = [*step.wanted[: len(matvec)], *(False for _ in outs)]
    of_matvec: list[Any] = [None] * len(matvec)
    if any(wanted):
        arriving = [True] * len(outs)
        _, tape = run_forward(programs.matvec, [*matvec, *outs], wanted, arriving, step.rules)
        of_matvec = run_backward(tape, [-bar for bar in b_bars])[: len(matvec)]
    others = sum(lengths) - len(matvec)
    return [*of_matvec, *(None for _ in range(others)), *b_bars]


linear_solve = Rule(_linear_solve_forward, _linear_solve_backward)
