"""Rules of primitives that stand for several gates, or have operands that no gate has."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from purebp import gates
from purebp.autodiff.flow import refused
from purebp.autodiff.rule import Rule, Step, Values, of_gate
from purebp.compat import run_equation
from purebp.gate import unbroadcast
from purebp.residuals import spec_of

LN2 = math.log(2)

_of_two = of_gate(gates.where, places=(0, 2, 1))  # case 1 is taken where the condition is true


def _select_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    if _is_condition(step.equation):
        return _of_two.forward(step, args)
    return run_equation(step.equation, args), (args[0],)


def _select_backward(step: Step, saved: Any, bars: Values) -> Values:
    if _is_condition(step.equation):
        return _of_two.backward(step, saved, bars)
    (which,) = saved
    cases = range(len(step.wanted) - 1)
    routed = [
        jnp.where(which == case, bars[0], 0) if use else None
        for case, use in zip(cases, step.wanted[1:], strict=True)
    ]
    return [None, *routed]


def _is_condition(equation: Any) -> bool:
    return len(equation.invars) == 3 and equation.invars[0].aval.dtype == bool


select_n = Rule(_select_forward, _select_backward)


def _top_k_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    values, places = run_equation(step.equation, args)
    return [values, places], gates.top_k.plan.save(args, (values, places), step.wanted)


def _top_k_backward(step: Step, saved: Any, bars: Values) -> Values:
    params = step.equation.params
    axis = {"axis": params["axis"] if "axis" in params else params["reduction_dimension"]}
    return gates.top_k.plan.pull(saved, bars[0], axis, step.wanted)


top_k = Rule(_top_k_forward, _top_k_backward)


def _polygamma_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), tuple(args)


def _polygamma_backward(step: Step, saved: Any, bars: Values) -> Values:
    """The order is an array here; it is a whole number, and has no derivative."""
    n, x = saved
    return [None, bars[0] * jax.lax.polygamma(n + 1, x)]


polygamma = Rule(_polygamma_forward, _polygamma_backward)


def _output_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    outs = run_equation(step.equation, args)
    return outs, outs[0]


def _complex_sign_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    outs = run_equation(step.equation, args)
    return outs, (args[0], outs[0])


def _complex_sign_backward(step: Step, saved: Any, bars: Values) -> Values:
    """y = x / |x|: x_bar = (y_bar - conj(y) Re(y_bar y)) / |x|, for y turns; 0 at 0."""
    (x, y), y_bar = saved, bars[0]
    size = jnp.where(x == 0, 1, jnp.abs(x))
    return [jnp.where(x == 0, 0, (y_bar - jnp.conj(y) * jnp.real(y_bar * y)) / size)]


complex_sign = Rule(_complex_sign_forward, _complex_sign_backward)


def _tanh_backward(step: Step, y: Any, bars: Values) -> Values:
    """tanh' = (1 - y)(1 + y), from the output: nothing is computed again."""
    return [bars[0] * ((1 - y) * (1 + y))]


def _logistic_backward(step: Step, y: Any, bars: Values) -> Values:
    """s' = s (1 - s), from the output."""
    return [bars[0] * (y * (1 - y))]


tanh = Rule(_output_forward, _tanh_backward)
logistic = Rule(_output_forward, _logistic_backward)


def _operand_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), args[0]


def _log2_backward(step: Step, x: Any, bars: Values) -> Values:
    return [bars[0] / (x * LN2)]


def _one_minus_square_backward(step: Step, x: Any, bars: Values) -> Values:
    return [-2 * bars[0] * x]


log2 = Rule(_operand_forward, _log2_backward)
one_minus_square = Rule(_operand_forward, _one_minus_square_backward)


def _nextafter_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), tuple(map(spec_of, args))


def _nextafter_backward(step: Step, specs: Any, bars: Values) -> Values:
    """The number next to x in the direction of y moves as x does, and not with y."""
    return [unbroadcast(bars[0], specs[0]) if step.wanted[0] else None, None]


nextafter = Rule(_nextafter_forward, _nextafter_backward)


def _polynomial_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), tuple(args)


def _polynomial_backward(step: Step, saved: Any, bars: Values) -> Values:
    """y = a0 + x (a1 + x (a2 + ...)): the slope in x by Horner's scheme too, that in a_k is x^k."""
    x, *factors = saved
    x_bar = None
    if step.wanted[0]:
        slope = jnp.zeros_like(x)
        for k in range(len(factors) - 1, 0, -1):
            slope = slope * x + k * factors[k]
        x_bar = unbroadcast(bars[0] * slope, spec_of(x))
    of_factors = [
        unbroadcast(bars[0] * x**k, spec_of(a)) if use else None
        for k, (a, use) in enumerate(zip(factors, step.wanted[1:], strict=True))
    ]
    return [x_bar, *of_factors]


polynomial = Rule(_polynomial_forward, _polynomial_backward)


def _passed_on(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), None


def _handed_back(step: Step, saved: Any, bars: Values) -> Values:
    return bars


identity = Rule(_passed_on, _handed_back)
"""Operands that come out as they are, in their order."""


def _never(step: Step, saved: Any, bars: Values) -> Values:
    raise AssertionError(step.equation)


def _callback_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    raise refused(
        step.equation, "nobody knows the derivative of a callback; wrap it in jax.custom_vjp"
    )


callback = Rule(_callback_forward, _never)


def _gamma_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    (y,) = run_equation(step.equation, args)
    return [y], (args[1], y)


def _gamma_backward(step: Step, saved: Any, bars: Values) -> Values:
    """The slope of a sample at a fixed probability; of its logarithm where that is drawn."""
    a, y = saved
    if step.equation.params["log_space"]:
        sample = jnp.exp(y)
        slope = _slope_of_gamma(a, sample) / sample
    else:
        slope = _slope_of_gamma(a, y)
    return [None, bars[0] * slope]


def _slope_of_gamma(a: Any, sample: Any) -> Any:
    return jax.lax.random_gamma_grad(a, sample)  # type: ignore[reportCallIssue]  # as it is called


random_gamma = Rule(_gamma_forward, _gamma_backward)

_FFTS = {"FFT": gates.fft, "IFFT": gates.ifft, "RFFT": gates.rfft, "IRFFT": gates.irfft}


def _fft_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    y = run_equation(step.equation, args)
    return y, _gate_of(step.equation).plan.save(args, y[0], step.wanted)


def _fft_backward(step: Step, saved: Any, bars: Values) -> Values:
    axes = tuple(range(-len(step.equation.params["fft_lengths"]), 0))
    options = {"axis": axes, "norm": "backward"}
    return _gate_of(step.equation).plan.pull(saved, bars[0], options, step.wanted)


def _gate_of(equation: Any) -> Any:
    return _FFTS[equation.params["fft_type"].name]


fft = Rule(_fft_forward, _fft_backward)
