"""Not finite: what a mask lets through, and 0 * inf."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import (
    as_float32,
    demand,
    demand_axis,
    demand_same_shape,
    normal,
    positive,
    with_jvp,
)
from reference.wrong_gradients.points import softplus
from reference.wrong_gradients.tails import plain_sigmoid

# ------------------------------------------------------------------- masks and missing values


def nanvar_fwd(x):
    """The variance of each row over what is not NaN; 0 where nothing is left."""
    demand_axis("nanvar", x)
    valid = ~jnp.isnan(x)
    n = jnp.maximum(jnp.sum(valid, axis=-1, keepdims=True), 1).astype(x.dtype)
    mean = jnp.sum(jnp.where(valid, x, 0), axis=-1, keepdims=True) / n
    apart = jnp.where(valid, x - mean, 0)
    return jnp.sum(apart * apart / n, axis=-1), (x, mean, n)


def nanvar_wrong_bwd(res, y_bar):
    """2/n (x - mean), times 1 or 0."""
    x, mean, n = res
    valid = (~jnp.isnan(x)).astype(x.dtype)
    return (y_bar[..., None] * 2 / n * (x - mean) * valid,)


def nanvar_right_bwd(res, y_bar):
    """2/n (x - mean), 0 at what is NaN."""
    x, mean, n = res
    return (y_bar[..., None] * 2 / n * jnp.where(jnp.isnan(x), 0, x - mean),)


def logsumexp_fwd(x, mask):
    """log of the sum of exp(x) over the entries of each row that the mask keeps."""
    demand_axis("logsumexp", x)
    demand_same_shape("logsumexp", x, mask)
    top = jnp.max(jnp.where(mask, x, -jnp.inf), axis=-1, keepdims=True, initial=-jnp.inf)
    top = lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0))
    total = jnp.sum(jnp.where(mask, jnp.exp(jnp.where(mask, x - top, 0)), 0), axis=-1)
    y = jnp.log(total) + jnp.squeeze(top, -1)
    return y, (x, mask, y)


def logsumexp_wrong_bwd(res, y_bar):
    """exp(x - y), times 1 or 0."""
    x, mask, y = res
    return y_bar[..., None] * jnp.exp(x - y[..., None]) * mask.astype(x.dtype), None


def logsumexp_right_bwd(res, y_bar):
    """exp(x - y) where the mask keeps x and the sum is not empty, else 0."""
    x, mask, y = res
    kept = mask & (y > -jnp.inf)[..., None]
    return y_bar[..., None] * jnp.where(
        kept, jnp.exp(jnp.where(kept, x - y[..., None], 0)), 0
    ), None


def logsumexp_example(rng):
    return as_float32(rng.standard_normal((4, 5))), rng.random((4, 5)) < 0.7


# ------------------------------------------------------------------- 0 * inf


def power(x, p):
    """x^p."""
    demand_same_shape("power", x, p)
    return jnp.power(x, p)


def power_wrong_rule(primals, tangents):
    """p x^(p-1) dx + x^p log(x) dp."""
    (x, p), (dx, dp) = primals, tangents
    y = power(x, p)
    return y, p * jnp.power(x, p - 1) * dx + y * jnp.log(x) * dp


def power_right_rule(primals, tangents):
    """p x^(p-1) dx + x^p log(x) dp, the first 0 for p = 0 and the second for x <= 0."""
    (x, p), (dx, dp) = primals, tangents
    y = power(x, p)
    by_base = jnp.where(p == 0, 0, p * jnp.power(x, jnp.where(p == 0, 1, p - 1)))
    by_exponent = jnp.where(x > 0, y * jnp.log(jnp.where(x > 0, x, 1)), 0)
    return y, by_base * dx + by_exponent * dp


def power_example(rng):
    return *positive((4, 3))(rng), as_float32(rng.integers(1, 4, (4, 3)))


def normalize_fwd(x, *, eps: float = 1e-6):
    """Each row times min(1/|x|, 1/eps)."""
    demand_axis("normalize", x)
    demand(eps > 0, f"normalize: eps is {eps}, expected a positive number")
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    return x * lax.rsqrt(jnp.maximum(square, eps * eps)), (x, square)


def normalize_wrong_bwd(res, y_bar, *, eps: float = 1e-6):
    """r = 1/sqrt(s): r y_bar, and through r, which min() clips, -x r^3 (x . y_bar)."""
    x, square = res
    r = lax.rsqrt(square)
    inner = jnp.sum(x * y_bar, axis=-1, keepdims=True)
    r_bar = inner * (r < 1 / eps)
    return (y_bar * jnp.minimum(r, 1 / eps) - x * (r_bar * r * r * r),)


def normalize_right_bwd(res, y_bar, *, eps: float = 1e-6):
    """The same, with s clipped before its root is taken."""
    x, square = res
    r = lax.rsqrt(jnp.maximum(square, eps * eps))
    y = x * r
    inner = jnp.sum(y * y_bar, axis=-1, keepdims=True)
    return (r * (y_bar - jnp.where(square > eps * eps, y * inner, 0)),)


def focal_fwd(logits, labels, *, gamma: float = 2.0):
    """-(1 - p)^gamma log p, p = sigmoid(z), z = logit for label 1 and -logit for 0."""
    demand_same_shape("focal", logits, labels)
    demand(gamma >= 0, f"focal: gamma is {gamma}, expected 0 or more")
    z = jnp.where(labels == 1, logits, -logits)
    loss = softplus(-z) * jnp.exp(-gamma * softplus(z))
    return loss, (z, labels)


def focal_wrong_bwd(res, y_bar, *, gamma: float = 2.0):
    """gamma (1 - p)^(gamma-1) p (1 - p) log p - (1 - p)^gamma (1 - p)."""
    z, labels = res
    p, q = plain_sigmoid(z), plain_sigmoid(-z)
    slope = -gamma * q ** (gamma - 1) * p * q * softplus(-z) - q**gamma * q
    return y_bar * jnp.where(labels == 1, slope, -slope), None


def focal_right_bwd(res, y_bar, *, gamma: float = 2.0):
    """(1 - p)^gamma (gamma p log p - (1 - p))."""
    z, labels = res
    p, q = plain_sigmoid(z), plain_sigmoid(-z)
    slope = -jnp.exp(-gamma * softplus(z)) * (gamma * p * softplus(-z) + q)
    return y_bar * jnp.where(labels == 1, slope, -slope), None


def focal_example(rng):
    return as_float32(rng.standard_normal((4, 3))), rng.integers(0, 2, (4, 3), dtype=np.int32)


def entropy_fwd(logits):
    """-sum p log p of each row, p = softmax(logits); a logit of -inf counts nothing.

    log(1 + t) - sum e z / (1 + t), e = exp(z), z = logits - max, and t the sum of e without the
    largest: autodiff loses no digits in it where p is close to 1.
    """
    demand_axis("entropy", logits)
    demand(logits.shape[-1] > 0, "entropy: expected at least one logit")
    largest = jnp.argmax(logits, axis=-1, keepdims=True)
    first = jnp.arange(logits.shape[-1]) == largest
    top = jnp.sum(jnp.where(first, logits, 0), axis=-1, keepdims=True)
    z = jnp.where(first, 0, logits - top)
    rest = jnp.where(first, 0, jnp.exp(z))
    t = jnp.sum(rest, axis=-1, keepdims=True)
    mean = jnp.sum(rest * jnp.where(rest > 0, z, 0) / (1 + t), axis=-1)
    return jnp.log1p(jnp.squeeze(t, -1)) - mean, (logits, jnp.exp(z) / (1 + t))


def entropy_wrong_bwd(res, y_bar):
    """-p (z - sum p z), z = logits - max."""
    logits, p = res
    z = logits - jnp.max(logits, axis=-1, keepdims=True)
    return (-y_bar[..., None] * p * (z - jnp.sum(p * z, axis=-1, keepdims=True)),)


def entropy_right_bwd(res, y_bar):
    """-p (z - sum p z), z = logits - max, and z = 0 where p is 0."""
    logits, p = res
    z = logits - jnp.max(logits, axis=-1, keepdims=True)
    z = jnp.where(p > 0, z, 0)
    return (-y_bar[..., None] * p * (z - jnp.sum(p * z, axis=-1, keepdims=True)),)


LAYERS = (
    Layer(
        name="nanvar",
        bug="B009",
        wrong=(nanvar_fwd, nanvar_wrong_bwd),
        right=(nanvar_fwd, nanvar_right_bwd),
        example=normal((4, 3)),
        diagnosis="not finite",
    ),
    Layer(
        name="masked_logsumexp",
        bug="B015",
        wrong=(logsumexp_fwd, logsumexp_wrong_bwd),
        right=(logsumexp_fwd, logsumexp_right_bwd),
        example=logsumexp_example,
        diagnosis="not finite",
    ),
    Layer(
        name="power_rule",
        bug="B061",
        wrong=with_jvp(power, power_wrong_rule),
        right=with_jvp(power, power_right_rule),
        example=power_example,
        diagnosis="not finite",
        why="forward mode: a zero tangent of the exponent meets log(x), x <= 0",
    ),
    Layer(
        name="normalize",
        bug="B126",
        wrong=(normalize_fwd, normalize_wrong_bwd),
        right=(normalize_fwd, normalize_right_bwd),
        example=normal((4, 3)),
        diagnosis="not finite",
    ),
    Layer(
        name="focal",
        bug="B129",
        wrong=(focal_fwd, focal_wrong_bwd),
        right=(focal_fwd, focal_right_bwd),
        example=focal_example,
        diagnosis="not finite",
        why="for gamma below 1, where 1 - p has become 0",
    ),
    Layer(
        name="softmax_entropy",
        bug="B129",
        wrong=(entropy_fwd, entropy_wrong_bwd),
        right=(entropy_fwd, entropy_right_bwd),
        example=normal((4, 5)),
        diagnosis="not finite",
        why="the entropy for the cross-entropy: 0 * -inf at a logit of -inf is the same",
    ),
)
