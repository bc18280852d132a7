"""Convolutions in groups, over one and three axes, transposed and causal, against lax."""

from functools import partial
from typing import Any

from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, normal
from purebp.layers import causal_conv1d, conv1d, conv2d, conv3d, conv_transpose2d

SMALL, LARGE = normal(4, 8, 8, 8), normal(8, 64, 32, 32)
SHIFTS = "the shifted copies of x and y_bar; it takes a tenth of the time"


def lax_conv(x: Array, w: Array, b: Array, *, padding: int = 1, groups: int = 1) -> Array:
    names = {1: "W", 2: "HW", 3: "DHW"}[x.ndim - 2]
    y = lax.conv_general_dilated(
        x,
        w,
        [1] * len(names),
        [(padding, padding)] * len(names),
        dimension_numbers=("NC" + names, "OI" + names, "NC" + names),
        feature_group_count=groups,
    )
    return y + b.reshape(-1, *(1,) * len(names))


def torch_conv(torch: Any, x: Any, w: Any, b: Any, *, padding: int = 1, groups: int = 1) -> Any:
    convolve = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
    return convolve(x, w, b, padding=padding, groups=groups)


def lax_conv_transpose(x: Array, w: Array, b: Array) -> Array:
    y = lax.conv_transpose(
        x, w, (2, 2), ((1, 2), (1, 2)), dimension_numbers=("NCHW", "OIHW", "NCHW"),
        transpose_kernel=True,
    )  # fmt: skip
    return y + b[:, None, None]


def torch_conv_transpose(torch: Any, x: Any, w: Any, b: Any) -> Any:
    convolve = torch.nn.functional.conv_transpose2d
    return convolve(x, w, b, stride=2, padding=1, output_padding=1)


def lax_causal_conv(x: Array, w: Array, b: Array) -> Array:
    y = lax.conv_general_dilated(
        x, w[:, None], (1,), ((w.shape[1] - 1, 0),), dimension_numbers=("NCW", "OIW", "NCW"),
        feature_group_count=x.shape[1],
    )  # fmt: skip
    return y + b[:, None]


def torch_causal_conv(torch: Any, x: Any, w: Any, b: Any) -> Any:
    before = w.shape[1] - 1
    y = torch.nn.functional.conv1d(x, w[:, None], b, padding=before, groups=x.shape[1])
    return y[..., : x.shape[-1]]


CASES = (
    Case(
        conv2d,
        partial(lax_conv, groups=4),
        "lax.conv_general_dilated",
        (SMALL, normal(8, 2, 3, 3), normal(8)),
        (LARGE, normal(64, 16, 3, 3, scale=0.1), normal(64)),
        options={"padding": 1, "groups": 4},
        torch=partial(torch_conv, groups=4),
        label="4 groups",
        more_memory="the groups of x and y_bar, cut out; it takes a thirtieth of the time",
    ),
    Case(
        conv2d,
        partial(lax_conv, groups=8),
        "lax.conv_general_dilated",
        (SMALL, normal(8, 1, 3, 3), normal(8)),
        (normal(8, 8, 64, 64), normal(8, 1, 3, 3, scale=0.3), normal(8)),
        options={"padding": 1, "groups": 8},
        torch=partial(torch_conv, groups=8),
        label="depthwise",
        more_memory=SHIFTS,
    ),
    Case(
        conv1d,
        lax_conv,
        "lax.conv_general_dilated",
        (normal(4, 8, 16), normal(8, 8, 3), normal(8)),
        (normal(8, 64, 512), normal(64, 64, 3, scale=0.1), normal(64)),
        options={"padding": 1},
        torch=torch_conv,
    ),
    Case(
        conv3d,
        lax_conv,
        "lax.conv_general_dilated",
        (normal(2, 4, 6, 6, 6), normal(4, 4, 3, 3, 3), normal(4)),
        (normal(2, 16, 16, 16, 16), normal(16, 16, 3, 3, 3, scale=0.05), normal(16)),
        options={"padding": 1},
        torch=torch_conv,
    ),
    Case(
        conv_transpose2d,
        lax_conv_transpose,
        "lax.conv_transpose",
        (SMALL, normal(8, 8, 3, 3), normal(8)),
        (normal(8, 32, 32, 32), normal(32, 16, 3, 3, scale=0.1), normal(16)),
        options={"stride": 2, "padding": 1, "output_padding": 1},
        torch=torch_conv_transpose,
    ),
    Case(
        causal_conv1d,
        lax_causal_conv,
        "lax.conv_general_dilated with groups",
        (normal(4, 8, 16), normal(8, 4), normal(8)),
        (normal(4, 256, 512), normal(256, 4), normal(256)),
        torch=torch_causal_conv,
        more_memory=SHIFTS,
    ),
)
