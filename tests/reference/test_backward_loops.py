"""The backward loops against the numerical gradient, and at the kinks."""

import numpy as np
import pytest

from reference import (
    activations,
    beta,
    complex_numbers,
    convolutions,
    eigen_general,
    elementwise,
    factors,
    gamma,
    gates,
    layers,
    linalg,
    lines,
    losses,
    mixture,
    more_losses,
    products,
    recurrent,
    sampled,
    scans,
    spectral,
)
from reference.backward import BACKWARD
from reference.backward_convolutions import conv2d_backward_as_convolutions
from reference.moves import leaves_of, like
from reference.numerical import numerical_gradient
from tests.reference import moved_cases
from tests.reference.moved_cases import MOVED_CASES

MODULES = (
    gates,
    elementwise,
    activations,
    layers,
    losses,
    more_losses,
    recurrent,
    lines,
    scans,
    linalg,
    mixture,
    spectral,
    factors,
    products,
    sampled,
    complex_numbers,
    eigen_general,
    beta,
    gamma,
    *moved_cases.MODULES,
)
DEFINITIONS = {name: f for module in MODULES for name, f in module.DEFINITIONS.items()}
LENGTHS = np.array([0, 3])
METHODS = ("nearest", "bilinear")
LABELS = np.array([2, 0, 3])
CTC_LENGTHS = np.array([4, 3]), np.array([2, 1])


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def wave(*shape, seed=0):
    """Complex numbers with a positive real part."""
    return positive(*shape, seed=seed) + 1j * normal(*shape, seed=seed + 1)


def positive(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.5, 2.0, size=shape)


def spd(*shape):
    """Symmetric positive definite matrices."""
    x = normal(*shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


def recurrent_weights(blocks):
    """h0, w_x, w_h and b of a recurrent layer: three features, two units."""
    columns = 2 * blocks
    return normal(2, 2), normal(3, columns), normal(2, columns, seed=1), normal(columns)


def scan_inputs():
    """u, delta, a, b and c of a selective scan: two features, three states."""
    steps = normal(2, 4, 2), positive(2, 4, 2)
    return *steps, -positive(2, 3), normal(2, 4, 3), normal(2, 4, 3, seed=1)


def attention_inputs():
    """q, k and v: two examples of four queries and keys, two heads."""
    return tuple(normal(2, 4, 2, 3, seed=seed) for seed in range(3))


def linear_attention_inputs():
    """q, k, v and g: two examples of three steps, one head."""
    q, k = normal(2, 3, 1, 3), normal(2, 3, 1, 3, seed=1)
    return q, k, normal(2, 3, 1, 2), -positive(2, 3, 1, 3)


def expert_inputs():
    """x, the router and three experts with two features."""
    weights = normal(3, 2, 2), normal(3, 2, 2, seed=1), normal(3, 2, 2, seed=2)
    return normal(4, 2), normal(2, 3), *weights


ENDS = np.array([3, 1])
# (op, arguments, options): no entry lies within 1e-5 of a kink.
CASES = [
    *((name, (normal(2, 3), positive(3)), {}) for name in ("add", "sub", "mul", "div")),
    *((name, (normal(2, 1), normal(4, 1, 3)), {}) for name in ("mul", "max", "min")),
    ("div", (normal(), positive(2)), {}),
    *(
        (name, (normal(2, 3),), {})
        for name in ("identity", "neg", "exp", "square", "sigmoid", "tanh")
    ),
    *((name, (positive(2, 3),), {}) for name in ("log", "reciprocal", "sqrt")),
    *((name, (normal(2, 3, 2),), {}) for name in ("sum", "mean")),
    ("sum", (normal(2, 3, 2),), {"axis": -1}),
    ("sum", (normal(2, 3, 2),), {"axis": (0, 2), "keepdims": True}),
    ("mean", (normal(2, 3, 2),), {"axis": (0, -1)}),
    ("mean", (normal(2, 3, 2),), {"axis": 1, "keepdims": True}),
    *(
        (name, (normal(2, 3),), options)
        for name in ("logsumexp", "prod", "reduce_max", "reduce_min", "var", "std", "norm")
        for options in ({}, {"axis": 1}, {"axis": (0,), "keepdims": True})
    ),
    *((name, (normal(2, 3),), {"ddof": 1}) for name in ("var", "std")),
    *(
        (name, (normal(3, 4),), options)
        for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
        for options in ({}, {"axis": 0}, {"reverse": True})
    ),
    ("dot", (normal(2, 3), normal(2, 3, seed=1)), {}),
    ("matmul", (normal(2, 3), normal(3, 4)), {}),
    ("matmul", (normal(2, 1, 2, 3), normal(4, 3, 2)), {}),
    ("branch", (normal(2, 3),), {"copies": 3}),
    *(
        (name, (normal(2, 3),), {})
        for name in (
            *("abs", "exp2", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh"),
            *("erf", "erfc", "bessel_i0e", "bessel_i1e"),
        )
    ),
    *(
        (name, (positive(2, 3),), {})
        for name in ("rsqrt", "cbrt", "log1p", "lgamma", "digamma", "integer_pow")
    ),
    *((name, (0.9 * np.sin(normal(2, 3)),), {}) for name in ("asin", "acos", "atanh", "erf_inv")),
    ("acosh", (1 + positive(2, 3),), {}),
    ("integer_pow", (positive(2, 3),), {"exponent": -3}),
    *(("polygamma", (positive(2, 3),), {"n": n}) for n in (0, 1, 3)),
    ("zeta", (1 + positive(2, 1), positive(3)), {}),
    *((name, (positive(2, 1), positive(3)), {}) for name in ("igamma", "igammac")),
    ("betainc", (positive(2, 1), positive(3), 0.5 + 0.45 * np.sin(normal(2, 3))), {}),
    ("pow", (positive(2, 1), normal(3)), {}),
    ("atan2", (normal(2, 1), normal(3)), {}),
    ("clamp", (normal(1) - 0.5, normal(2, 3), 0.5 + normal(2, 1)), {}),
    ("where", (normal(2, 3) > 0, normal(3), normal(2, 1)), {}),
    *((name, (normal(3, 4),), {}) for name in ("relu", "leaky_relu", "elu", "swish", "gelu")),
    ("leaky_relu", (normal(3, 4),), {"slope": 0.3}),
    ("elu", (normal(3, 4),), {"alpha": 0.7}),
    ("swish", (normal(3, 4),), {"beta": -1.7}),
    ("gelu", (normal(3, 4),), {"approximate": False}),
    ("prelu", (normal(3, 4), normal(4)), {}),
    ("prelu", (normal(2, 3, 4), normal(3, 1)), {}),
    ("maxout", (normal(2, 6),), {"pieces": 3}),
    ("softmax", (normal(2, 3, 2),), {}),
    ("softmax", (normal(2, 3, 2),), {"axis": 1}),
    *(
        (name, (3 * normal(3, 4),), {})
        for name in (
            *("relu6", "hard_sigmoid", "hard_tanh", "hard_swish", "relu_squared", "softplus"),
            *("log_sigmoid", "mish", "softsign", "squareplus", "selu", "celu"),
        )
    ),
    ("squareplus", (normal(3, 4),), {"b": 0.3}),
    ("celu", (normal(3, 4),), {"alpha": 0.4}),
    *((name, (normal(2, 3),), {}) for name in ("log_softmax", "sparsemax", "standardize")),
    *((name, (normal(3, 2),), {"axis": 0}) for name in ("log_softmax", "sparsemax", "standardize")),
    ("affine", (normal(2, 3), normal(3, 4), normal(4)), {}),
    ("affine", (normal(2, 2, 3), normal(3, 4), None), {}),
    *(
        ("fully_connected", (normal(2, 3), normal(3, 4), normal(4)), {"activation": name})
        for name in ("sigmoid", "tanh", "relu", "identity")
    ),
    ("conv2d", (normal(2, 2, 4, 5), normal(3, 2, 2, 3), normal(3)), {}),
    ("conv2d", (normal(1, 2, 4, 5), normal(2, 2, 3, 2), None), {"stride": (2, 1), "padding": 1}),
    ("conv2d", (normal(1, 1, 5, 4), normal(2, 1, 2, 3), None), {"stride": 2, "padding": "SAME"}),
    ("conv2d", (normal(1, 1, 4, 4), normal(1, 1, 2, 2), None), {"padding": ((0, 2), (1, 0))}),
    ("conv2d", (normal(1, 4, 4, 5), normal(2, 2, 2, 2), None), {"groups": 2, "dilation": (1, 2)}),
    ("conv1d", (normal(2, 2, 6), normal(4, 1, 3), normal(4)), {"groups": 2, "stride": 2}),
    ("conv3d", (normal(1, 2, 3, 2, 3), normal(1, 2, 2, 1, 2), normal(1)), {"padding": (0, 1, 0)}),
    ("conv_transpose2d", (normal(1, 2, 3, 2), normal(2, 3, 2, 2), normal(3)), {"stride": 2}),
    (
        "conv_transpose2d",
        (normal(1, 4, 2, 3), normal(4, 2, 3, 2), None),
        {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "dilation": (1, 2), "groups": 2}
        | {"output_padding": (1, 0)},
    ),
    ("causal_conv1d", (normal(2, 2, 5), normal(2, 3), normal(2)), {}),
    ("global_avg_pool", (normal(2, 3, 2, 2),), {}),
    ("adaptive_avg_pool", (normal(1, 2, 5, 4),), {"size": (3, 2)}),
    *(("upsample", (normal(1, 2, 2, 3),), {"scale": (2, 3), "method": m}) for m in METHODS),
    ("patches", (normal(2, 2, 4, 6),), {"size": (2, 3)}),
    ("pixel_shuffle", (normal(2, 8, 1, 3),), {}),
    ("local_response_norm", (normal(2, 4, 3),), {"size": 3, "alpha": 0.5}),
    ("drop_path", (normal(3, 2), np.array([1, 0, 1])), {"rate": 0.25}),
    *((name, (normal(2, 2, 4, 5),), {}) for name in ("max_pool", "avg_pool")),
    *(
        (name, (normal(1, 2, 5, 4),), {"window": (3, 2), "stride": (2, 1), "padding": (1, 0)})
        for name in ("max_pool", "avg_pool")
    ),
    *(
        (name, (normal(1, 2, 5, 4),), {"window": 3, "stride": 2, "padding": "SAME"})
        for name in ("max_pool", "avg_pool")
    ),
    ("batch_norm", (normal(4, 2, 3), normal(2), normal(2, seed=1)), {"eps": 0.1}),
    ("batch_norm", (normal(5, 2), normal(2), normal(2, seed=1)), {}),
    ("batch_norm_eval", (normal(3, 2, 2), normal(2), normal(2), normal(2), positive(2)), {}),
    ("layer_norm", (normal(2, 2, 4), normal(4), normal(4, seed=1)), {}),
    ("rms_norm", (normal(2, 2, 4), normal(4)), {"eps": 0.1}),
    ("l2_normalize", (normal(2, 3, 2),), {"axis": 1}),
    ("l2_normalize", (normal(4, 3),), {"eps": 1.5}),
    ("group_norm", (normal(2, 4, 3), normal(4), normal(4, seed=1)), {"groups": 2}),
    ("instance_norm", (normal(2, 2, 3), normal(2), normal(2, seed=1)), {"eps": 0.1}),
    ("add_rms_norm", (normal(2, 3), normal(2, 3, seed=1), normal(3)), {"eps": 0.1}),
    ("add_layer_norm", (normal(2, 3), normal(2, 3, seed=1), normal(3), normal(3, seed=2)), {}),
    ("dropout", (normal(2, 3), np.array([[1, 0, 1], [0, 1, 1]])), {"rate": 0.25}),
    ("flatten", (normal(2, 3, 2),), {}),
    *((name, (normal(2, 4), normal(2, 4, seed=1)), {}) for name in ("swiglu", "geglu")),
    ("geglu", (normal(3), normal(3, seed=1)), {"approximate": False}),
    *(("glu", (normal(2, 4),), {"axis": axis}) for axis in (-1, 0)),
    ("dot_product_attention", (normal(3, 2, 4), normal(5, 1, 4), normal(5, 1, 4, seed=1)), {}),
    (
        "dot_product_attention",
        (normal(2, 4, 2, 3), normal(2, 4, 2, 3, seed=1), normal(2, 4, 2, 3, seed=2), LENGTHS),
        {"causal": True, "window": (2, 0), "softcap": 1.5, "scale": 0.7},
    ),
    (
        "dot_product_attention",
        (*attention_inputs(), LENGTHS, np.eye(4)[None, None] < 1, normal(2, 1, 4, 1), normal(2)),
        {},
    ),
    (
        "dot_product_attention",
        (*attention_inputs(), None, None, None, normal(2), positive(2), normal(2, 4, 4) > -0.5),
        {"rate": 0.4, "causal": True},
    ),
    (
        "multi_head_attention",
        (
            normal(3, 2),
            normal(2, 2, 2),
            *(normal(2, 1, 2, seed=i) for i in (1, 2)),
            normal(2, 2, 3),
            normal(2, 2),
            None,
            normal(1, 2),
            normal(3),
        ),
        {"causal": True, "rope_base": 10.0},
    ),
    ("rope", (normal(2, 3, 2, 4), np.array([[0, 1, 2], [5, 0, 9]])), {}),
    ("sinusoidal", (normal(3, 4),), {}),
    ("sinusoidal", (normal(2, 3, 5), normal(), np.array([[0, 1, 2], [5, 0, 9]])), {"base": 10.0}),
    ("rope", (normal(3, 1, 6),), {"interleaved": True, "base": 10.0}),
    *(
        ("fused_linear_cross_entropy", (normal(3, 2), normal(2, 4), LABELS), {"reduction": r})
        for r in ("mean", "sum")
    ),
    ("embedding", (np.array([[2, 0], [2, 1]]), normal(4, 3)), {}),
    *(("softmax_cross_entropy", (normal(3, 4), LABELS), {"reduction": r}) for r in ("mean", "sum")),
    ("softmax_cross_entropy", (normal(3, 1, 4), LABELS[:, None]), {"reduction": "none"}),
    *(
        ("softmax_cross_entropy", (normal(3, 4), LABELS), {"ignore": 2, "reduction": r, **more})
        for r, more in (("mean", {"smoothing": 0.2}), ("none", {"z_loss": 0.3}))
    ),
    ("softmax_cross_entropy", (normal(3, 4), LABELS), {"smoothing": 0.2, "z_loss": 0.1}),
    *(
        ("soft_cross_entropy", (normal(3, 4), positive(3, 4)), {"reduction": r})
        for r in ("mean", "none")
    ),
    *(
        ("ctc", (normal(2, 4, 3), np.array([[1, 1], [2, 0]]), *CTC_LENGTHS), {"reduction": r})
        for r in ("mean", "none")
    ),
    *(("svm", (normal(3, 4), LABELS), {"reduction": r}) for r in ("mean", "sum", "none")),
    ("svm", (normal(3, 4), LABELS), {"margin": 0.3}),
    *(
        ("half_squared_error", (normal(3, 4), normal(3, 4, seed=1)), {"reduction": r})
        for r in ("mean", "sum", "none")
    ),
    *(
        (name, (normal(3, 4), normal(3, 4, seed=1)), {"reduction": reduction})
        for name in ("mse", "l1_loss", "huber", "log_cosh", "hinge", "cosine_distance")
        for reduction in ("mean", "sum", "none")
    ),
    ("huber", (normal(3, 4), normal(3, 4, seed=1)), {"delta": 0.3}),
    ("gaussian_nll", (normal(3, 4), normal(3, 4, seed=1), positive(3, 4)), {}),
    *(
        (name, (normal(3, 4), positive(3, 4) / 2), {"reduction": "none"})
        for name in ("binary_cross_entropy", "focal", "kl_divergence")
    ),
    ("focal", (normal(3, 4), positive(3, 4) / 2), {"gamma": 1.5, "alpha": 0.25}),
    ("dice", (positive(3, 4) / 2, positive(3, 4, seed=1) / 2), {"smooth": 0.1}),
    ("cosine_similarity", (normal(3, 4), normal(3, 4, seed=1)), {}),
    ("triplet", (normal(3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2)), {"reduction": "none"}),
    ("elastic_net", (normal(2, 3),), {"l1": 0.3, "l2": 0.7}),
    ("max_norm", (2 * normal(3, 4),), {"limit": 0.7, "strength": 0.3}),
    *((name, (normal(2, 3),), {"strength": 0.3}) for name in ("l1", "l2")),
    ("rnn_step", (normal(2, 3), *recurrent_weights(1)), {}),
    ("lstm_step", (normal(2, 3), normal(2, 2, seed=3), *recurrent_weights(4)), {}),
    *(
        ("gru_step", (normal(2, 3), *recurrent_weights(3), bias), {"reset": reset})
        for reset, bias in (("after", normal(2)), ("before", normal(2)), ("after", None))
    ),
    *(
        ("rnn", (normal(2, 3, 3), *recurrent_weights(1), lengths), {"reverse": reverse})
        for lengths, reverse in ((None, False), (np.array([3, 1]), True))
    ),
    ("lstm", (normal(2, 3, 3), normal(2, 2, seed=3), *recurrent_weights(4), np.array([0, 2])), {}),
    *(
        (
            f"bidirectional_{name}",
            (normal(2, 3, 2), normal(2, 2, k), normal(2, 1, k), normal(2, k), *extra, ENDS),
            {},
        )
        for name, k, extra in (("rnn", 1, ()), ("lstm", 4, ()), ("gru", 3, (normal(2, 1),)))
    ),
    ("gru", (normal(2, 3, 3), *recurrent_weights(3), normal(2), np.array([2, 3])), {}),
    *(
        ("mixture_of_experts", expert_inputs(), {"top": top, "renormalize": top == 2})
        for top in (1, 2)
    ),
    *(("load_balance", (normal(3, 4),), {"top": top}) for top in (1, 2)),
    *(
        ("gated_linear_attention", (*linear_attention_inputs(), *first), {})
        for first in ((), (normal(2, 1, 3, 2),))
    ),
    *(
        ("lora_affine", (normal(2, 3), normal(3, 4), normal(3, 2), normal(2, 4), b), options)
        for b in (None, normal(4))
        for options in ({"scale": 0.5},)
    ),
    *(
        ("selective_scan", (*scan_inputs(), *rest), {})
        for rest in ((), (normal(2),), (None, normal(2, 2, 3)))
    ),
    ("cholesky", (spd(2, 3, 3),), {}),
    *(
        ("triangular_solve", (spd(3, 3), normal(3, 2)), options)
        for options in ({}, {"lower": False, "unit_diagonal": True}, {"transpose": True})
    ),
    ("solve", (normal(2, 3, 3), normal(2, 3, 2)), {}),
    *((name, (normal(2, 3, 3),), {}) for name in ("inv", "det", "slogdet", "expm")),
    *((name, (spd(2, 3, 3),), {}) for name in ("eigh", "eigvalsh")),
    *(
        ("hermitian_function", (spd(3, 3),), {"function": function})
        for function in ("exp", "log", "sqrt", "rsqrt")
    ),
    *(
        (name, (normal(*shape),), {})
        for name in ("qr", "lu", "svd", "svdvals", "pinv")
        for shape in ((2, 3, 3), (4, 2), (2, 4))
    ),
    *(("lstsq", (normal(*shape), normal(shape[0], 2)), {}) for shape in ((4, 2), (2, 4))),
    ("outer", (normal(2, 3), normal(4)), {}),
    ("kron", (normal(2, 2, 3), normal(3, 2)), {}),
    *(
        ("einsum", (normal(2, 3), normal(3, 3), normal(2)), {"subscripts": subscripts})
        for subscripts in ("ij,jk,l->ikl", "ij,kk,...->", "...j,jk,i")
    ),
    *((name, (normal(2, 3, 4),), {}) for name in ("trace", "diag", "diagonal", "tril", "triu")),
    *((name, (normal(4, 3),), {"offset": -1}) for name in ("trace", "diagonal", "tril", "triu")),
    ("diag", (normal(3),), {"offset": 2}),
    *(("matrix_power", (spd(3, 3),), {"power": power}) for power in (0, 3, -2)),
    ("gaussian_sample", tuple(normal(2, 3, seed=seed) for seed in range(3)), {}),
    ("gumbel_softmax", (normal(2, 3), normal(2, 3, seed=1)), {"temperature": 0.7}),
    *(("weight_norm", (normal(3, 3), positive(3)), {"axis": axis}) for axis in (-1, 0)),
    ("spectral_norm", (normal(2, 3), normal(2), normal(3)), {}),
    *(
        ("gaussian_kl", (normal(2, 3), normal(2, 3, seed=1)), {"reduction": reduction})
        for reduction in ("mean", "none")
    ),
    ("js_divergence", (-positive(2, 3), -positive(2, 3, seed=1)), {}),
    ("info_nce", (normal(3, 2), normal(3, 2, seed=1)), {}),
    *((name, (wave(2, 3),), {}) for name in ("real", "imag", "conj", "angle", "fft", "ifft")),
    ("complex", (normal(2, 1), normal(3)), {}),
    *((name, (wave(2, 3), wave(3, seed=2)), {}) for name in ("add", "sub", "mul", "div")),
    *((name, (normal(2, 3), wave(3, seed=2)), {}) for name in ("mul", "div")),
    *(
        (name, (wave(2, 3),), {})
        for name in (
            *("identity", "neg", "exp", "log", "reciprocal", "square", "sqrt", "abs", "sin", "cos"),
            *("integer_pow", "sum", "mean", "branch", "transpose", "prod", "cumsum", "cumprod"),
            *("trace", "diag", "diagonal", "tril", "triu", "reduce_window_sum"),
        )
    ),
    *((name, (wave(2, 3), normal(2, 1, seed=2)), {}) for name in ("outer", "kron")),
    ("einsum", (wave(2, 3), normal(3, 2)), {}),
    ("where", (normal(2, 3) > 0, normal(2, 3), wave(2, 3)), {}),
    ("matmul", (wave(2, 3), normal(3, 2)), {}),
    *(
        (name, (numbers,), options)
        for name, numbers in (("fft", wave(2, 3)), ("ifft", wave(2, 3)), ("rfft", normal(3, 4)))
        for options in ({"axis": (0, 1)}, {"norm": "ortho"}, {"axis": 0, "norm": "forward"})
    ),
    *(("rfft", (normal(2, n),), {}) for n in (1, 2, 5)),
    *(
        ("irfft", (wave(2, 3),), options)
        for options in ({}, {"n": 5}, {"axis": (1, 0), "norm": "ortho"}, {"axis": 0, "n": 3})
    ),
    *(("eig", (numbers(2, 3, 3),), {}) for numbers in (normal, wave)),
    *MOVED_CASES,
]
FIXED = {
    *(("gaussian_sample", 2), ("gumbel_softmax", 1), ("spectral_norm", 1), ("spectral_norm", 2)),
    *(("argmax", 0), ("argmin", 0)),
}
"""Floating arguments without a gradient: noise, singular vectors, what only gives integers."""


def output(name, args, options):
    y = DEFINITIONS[name](*args, **options)
    return y[0] if name in ("batch_norm", "lu", "top_k") else y


def upstream(y):
    if isinstance(y, tuple):
        return tuple(map(upstream, y))
    return (wave if np.iscomplexobj(y) else normal)(*np.shape(y), seed=2)


def is_differentiated(arg):
    return arg is not None and np.asarray(arg).dtype.kind in "fc"


def shape_in_words(arg):
    return "None" if arg is None else f"{'complex' * np.iscomplexobj(arg)}{np.shape(arg)}"


def case_name(case):
    name, args, options = case
    shapes = ", ".join(map(shape_in_words, leaves_of(args)))
    return f"{name}({shapes}{''.join(f', {key}={value}' for key, value in options.items())})"


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_backward_loops_agree_with_the_numerical_gradient(case):
    name, args, options = case
    y_bar = upstream(output(name, args, options))
    bars = BACKWARD[name](args, y_bar, **options)
    assert len(bars) == len(args)
    leaves = leaves_of(args)
    for place, (leaf, bar) in enumerate(zip(leaves, leaves_of(bars), strict=True)):
        if not is_differentiated(leaf) or (name, place) in FIXED:
            assert bar is None
            continue

        def run(*moved, name=name, args=args, options=options):
            return output(name, like(args, list(moved)), options)

        expected = numerical_gradient(run, leaves, y_bar, place)
        assert bar.shape == expected.shape
        assert bar.dtype == expected.dtype
        np.testing.assert_allclose(bar, expected, rtol=1e-6, atol=1e-8)


def test_numerical_gradient_is_right_and_rejects_a_wrong_gradient():
    x, y_bar = np.array([1.0, 2.0]), np.array([1.0, -1.0])
    expected = numerical_gradient(gates.square, (x,), y_bar, 0)
    np.testing.assert_allclose(expected, [2.0, -4.0], rtol=1e-8)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(2 * BACKWARD["square"]((x,), y_bar)[0], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="expected"):
        numerical_gradient(gates.square, (x,), np.ones(3), 0)


def test_every_op_has_one_definition_one_backward_pass_and_a_case():
    assert len(DEFINITIONS) == sum(len(module.DEFINITIONS) for module in MODULES)
    assert set(DEFINITIONS) == set(BACKWARD) == {case[0] for case in CASES}


def test_ties_and_kinks():
    one = np.ones(1)
    for name in ("max", "min"):
        assert [float(bar[0]) for bar in BACKWARD[name]((one, one), one)] == [0.5, 0.5]
    pooled = BACKWARD["max_pool"]((np.ones((1, 1, 2, 2)),), np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(pooled[0][0, 0], [[1.0, 0.0], [0.0, 0.0]])
    assert BACKWARD["maxout"]((np.ones(4),), np.ones(2))[0].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert BACKWARD["relu"]((0 * one,), one)[0].tolist() == [0.0]
    assert BACKWARD["l1"]((0 * one,), np.ones(()))[0].tolist() == [0.0]
    assert BACKWARD["svm"](([[1.0, 0.0]], np.array([0])), np.ones(()))[0].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("padding", [0, 1, "SAME", ((0, 2), (1, 0))])
def test_convolution_backward_is_two_convolutions(stride, padding):
    args = (normal(2, 2, 5, 6), normal(3, 2, 2, 3))
    options = {"stride": stride, "padding": padding}
    y_bar = upstream(convolutions.conv2d(*args, **options))
    scattered = BACKWARD["conv2d"](args, y_bar, **options)
    as_convolutions = conv2d_backward_as_convolutions(args, y_bar, **options)
    for bar, expected in zip(as_convolutions, scattered[:2], strict=True):
        np.testing.assert_allclose(bar, expected, rtol=1e-12, atol=1e-13)
