"""The worked examples of the lecture notes: their numbers as data, and each computed from scratch.

EXAMPLES[name] holds the inputs, every intermediate value and every gradient, rounded to the
number of decimals that the notes print. COMPUTATIONS[name] computes the same values and
gradients node by node in plain floats. Further down: the notes' size and cost formulas.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

Numbers = float | list[float] | list[list[float]]


class WorkedExample(NamedTuple):
    """One example. gradients[v] is df/dv; `decimals` is how many the notes print."""

    formula: str
    inputs: Mapping[str, Numbers]
    values: Mapping[str, Numbers]
    gradients: Mapping[str, Numbers]
    decimals: int


class Run(NamedTuple):
    """Values and gradients of one computation, under the names of the example."""

    values: Mapping[str, Numbers]
    gradients: Mapping[str, Numbers]


ADD_MUL = WorkedExample(
    formula="f = (x + y) * z, q = x + y",
    inputs={"x": -2.0, "y": 5.0, "z": -4.0},
    values={"q": 3.0, "f": -12.0},
    gradients={"f": 1.0, "q": -4.0, "z": 3.0, "x": -4.0, "y": -4.0},
    decimals=0,
)

MUL_GATE = WorkedExample(
    formula="f = x * y; the gradients are for an upstream gradient of 1, for g they are 4g and 3g",
    inputs={"x": 3.0, "y": 4.0},
    values={"f": 12.0},
    gradients={"x": 4.0, "y": 3.0},
    decimals=0,
)

SIGMOID_NEURON = WorkedExample(
    formula="f = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))",
    inputs={"w": [2.0, -3.0, -3.0], "x": [-1.0, -2.0]},
    values={
        "w0x0": -2.0,
        "w1x1": 6.0,
        "w0x0+w1x1": 4.0,
        "score": 1.0,
        "-score": -1.0,
        "exp": 0.37,
        "1+exp": 1.37,
        "f": 0.73,
    },
    gradients={
        "f": 1.0,
        "1+exp": -0.53,
        "exp": -0.53,
        "-score": -0.20,
        "score": 0.20,
        "w0x0+w1x1": 0.20,
        "w0x0": 0.20,
        "w1x1": 0.20,
        "w": [-0.20, -0.39, 0.20],
        "x": [0.39, -0.59],
    },
    decimals=2,
)

SQUARED_NORM = WorkedExample(
    formula="f = ||w x||^2 = q0^2 + q1^2, q = w x",
    inputs={"w": [[0.1, 0.5], [-0.3, 0.8]], "x": [0.2, 0.4]},
    values={"q": [0.22, 0.26], "f": 0.116},
    gradients={
        "f": 1.0,
        "q": [0.44, 0.52],
        "w": [[0.088, 0.176], [0.104, 0.208]],
        "x": [-0.112, 0.636],
    },
    decimals=3,
)


def compute_add_mul(x: float, y: float, z: float) -> Run:
    """add, mul; then mul (switcher), add (distributor)."""
    q = x + y
    f = q * z
    f_bar = 1.0
    q_bar = f_bar * z
    z_bar = f_bar * q
    gradients = {"f": f_bar, "q": q_bar, "z": z_bar, "x": q_bar, "y": q_bar}
    return Run({"q": q, "f": f}, gradients)


def compute_mul_gate(x: float, y: float, f_bar: float = 1.0) -> Run:
    """mul: each side gets the upstream gradient times the other side."""
    return Run({"f": x * y}, {"x": f_bar * y, "y": f_bar * x})


def compute_sigmoid_neuron(w: list[float], x: list[float]) -> Run:
    """mul, add, * -1, exp, + 1, 1 / x; then the same from right to left."""
    w0x0, w1x1 = w[0] * x[0], w[1] * x[1]
    products = w0x0 + w1x1
    score = products + w[2]
    negated = score * -1.0
    power = math.exp(negated)
    denominator = power + 1.0
    f = 1.0 / denominator

    f_bar = 1.0
    denominator_bar = f_bar * -1.0 / denominator**2
    power_bar = denominator_bar * 1.0
    negated_bar = power_bar * power
    score_bar = negated_bar * -1.0
    return Run(
        values={
            "w0x0": w0x0,
            "w1x1": w1x1,
            "w0x0+w1x1": products,
            "score": score,
            "-score": negated,
            "exp": power,
            "1+exp": denominator,
            "f": f,
        },
        gradients={
            "f": f_bar,
            "1+exp": denominator_bar,
            "exp": power_bar,
            "-score": negated_bar,
            "score": score_bar,
            "w0x0+w1x1": score_bar,
            "w0x0": score_bar,
            "w1x1": score_bar,
            "w": [score_bar * x[0], score_bar * x[1], score_bar],
            "x": [score_bar * w[0], score_bar * w[1]],
        },
    )


def compute_sigmoid_neuron_grouped(w: list[float], x: list[float]) -> Run:
    """The same neuron with its last four nodes grouped into one gate: slope (1 - f) f."""
    score = w[0] * x[0] + w[1] * x[1] + w[2]
    f = 1.0 / (1.0 + math.exp(-score))
    score_bar = (1.0 - f) * f
    return Run(
        values={"score": score, "f": f},
        gradients={
            "f": 1.0,
            "score": score_bar,
            "w": [score_bar * x[0], score_bar * x[1], score_bar],
            "x": [score_bar * w[0], score_bar * w[1]],
        },
    )


def compute_squared_norm(w: list[list[float]], x: list[float]) -> Run:
    """q_i = sum_j w_ij x_j, f = sum_i q_i^2.

    q_bar_i = 2 q_i, w_bar_ij = q_bar_i x_j, x_bar_j = sum_i w_ij q_bar_i.
    """
    q = [sum(w_ij * x_j for w_ij, x_j in zip(row, x, strict=True)) for row in w]
    q_bar = [2.0 * q_i for q_i in q]
    return Run(
        values={"q": q, "f": sum(q_i * q_i for q_i in q)},
        gradients={
            "f": 1.0,
            "q": q_bar,
            "w": [[bar * x_j for x_j in x] for bar in q_bar],
            "x": [sum(w[i][j] * q_bar[i] for i in range(len(w))) for j in range(len(x))],
        },
    )


EXAMPLES: dict[str, WorkedExample] = {
    "add_mul": ADD_MUL,
    "mul_gate": MUL_GATE,
    "sigmoid_neuron": SIGMOID_NEURON,
    "squared_norm": SQUARED_NORM,
}

COMPUTATIONS: dict[str, Callable[..., Run]] = {
    "add_mul": compute_add_mul,
    "mul_gate": compute_mul_gate,
    "sigmoid_neuron": compute_sigmoid_neuron,
    "squared_norm": compute_squared_norm,
}


def convolution_output_size(w: int, f: int, p: int, s: int) -> int:
    """(W - F + 2P) / S + 1: input width W, filter F, padding P, stride S. Rounded down."""
    return (w - f + 2 * p) // s + 1


def pooling_output_size(w: int, ps: int, s: int) -> int:
    """(W - Ps) / S + 1: input width W, pooling window Ps, stride S. Rounded down."""
    return (w - ps) // s + 1


def convolution_cost(w2: int, h2: int, k: int, c: int, f: int) -> int:
    """W2 * H2 * K * C * F * F multiplications for K filters F x F over C channels."""
    return w2 * h2 * k * c * f * f


class LayerSize(NamedTuple):
    """One layer of AlexNet: width and channels before and after, window, padding, stride."""

    kind: str
    width: int
    channels: int
    window: int
    padding: int
    stride: int
    width_after: int
    channels_after: int


ALEXNET_FIRST_LAYERS = (
    LayerSize("convolution", 227, 3, 11, 0, 4, 55, 96),
    LayerSize("pooling", 55, 96, 3, 0, 2, 27, 96),
)

# (inputs, rows and columns of the Jacobian) of an elementwise max(0, x): of one vector of 4096
# entries, and of a minibatch of 100 of them. It is diagonal, so it is never built.
JACOBIAN_SIZES = ((4096, (4096, 4096)), (100 * 4096, (409600, 409600)))
