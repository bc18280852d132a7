"""VAE: an encoder to a normal distribution, a sample of it, and a decoder back."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from purebp.activations import relu
from purebp.combine import chain, fanout
from purebp.errors import ArgumentError, OptionError, ShapeError
from purebp.layers import affine, gaussian_sample
from purebp.losses import binary_cross_entropy, gaussian_kl, gaussian_nll
from purebp.models.blocks import affine_layer, check_sizes
from purebp.models.layer import Layers, Tree
from purebp.models.model import ROUNDING, Model, near_first
from purebp.op import FIXED, KEY, Op

Pixels = Literal["bernoulli", "gaussian"]

trunk = chain(affine, relu, name="encoder")
heads = fanout(affine, affine, name="mean and log_var")
decoder = chain(affine, relu, affine, name="decoder")
gaussian_term = gaussian_nll.with_options(reduction="sum")
bernoulli_term = binary_cross_entropy.with_options(reduction="sum")
divergence = gaussian_kl.with_options(reduction="sum")


class VaeAux(NamedTuple):
    """The two terms of the loss, means over the examples; and the decoder's logits or means.

    Example:
        >>> model = vae(6, hidden=4, latent=2)
        >>> params = model.init(jax.random.key(0))
        >>> loss, aux = model(params, jnp.full((3, 6), 0.5), key=jax.random.key(1))
        >>> aux.y.shape
        (3, 6)
    """

    reconstruction: Array
    divergence: Array
    y: Array


class Vae(Model):
    """encoder - sample - decoder, with a loss of its own.

    `fwd(params, x, state=None, key=None, *, train=False) -> ((loss, VaeAux), res)`, and
    `bwd(res, loss_bar) -> (params_bar, x_bar, None, None)`. The key is needed; there is no state,
    and training and evaluation are the same.

    Example:
        >>> model = vae(6, hidden=4, latent=2)
        >>> isinstance(model, Vae)
        True
    """

    latent: int

    def __init__(
        self, features: int, hidden: int, latent: int, pixels: Pixels, var: float, beta: float
    ) -> None:
        layers = [
            affine_layer("encode1", features, hidden, "he"),
            affine_layer("mean", hidden, latent, "xavier"),
            affine_layer("log_var", hidden, latent, "xavier"),
            affine_layer("decode1", latent, hidden, "he"),
            affine_layer("decode2", hidden, features, "xavier"),
        ]
        object.__setattr__(self, "layers", tuple(layers))
        object.__setattr__(self, "parts", tuple(layers))
        object.__setattr__(self, "input_shape", (features,))
        object.__setattr__(self, "tokens", False)
        object.__setattr__(self, "latent", latent)

        def weights(params: Any, *names: str) -> list[tuple[Array, Array]]:
            return [(params[name]["w"], params[name]["b"]) for name in names]

        def arguments(params: Any) -> tuple[Any, Any, Any]:
            """The params of the encoder, of its two heads and of the decoder."""
            (first,), both = weights(params, "encode1"), weights(params, "mean", "log_var")
            up, out = weights(params, "decode1", "decode2")
            return (first, ()), tuple(both), (up, (), out)

        def term(y: Array, x: Array) -> tuple[Op, tuple[Array, ...]]:
            if pixels == "bernoulli":
                return bernoulli_term, (y, x)
            return gaussian_term, (y, x, jnp.full_like(y, var))

        def definition(
            params: Any,
            x: Float[Array, "n d"],
            state: Any = None,
            key: Any = None,
            *,
            train: bool = False,
        ) -> tuple[Array, VaeAux]:
            first, both, last = arguments(params)
            mean, log_var = heads.define(trunk.define(x, first), both)
            y = decoder.define(gaussian_sample.define(mean, log_var, key), last)
            op, given = term(y, x)
            rec, kl = op.define(*given) / len(x), divergence.define(mean, log_var) / len(x)
            return rec + beta * kl, VaeAux(rec, kl, y)

        def forward(params: Any, x: Array, state: Any, key: Any, *, train: bool) -> Any:
            first, both, last = arguments(params)
            h, trunk_res = trunk.fwd(x, first)
            (mean, log_var), heads_res = heads.fwd(h, both)
            z, sample_res = gaussian_sample.fwd(mean, log_var, key)
            y, decoder_res = decoder.fwd(z, last)
            op, given = term(y, x)
            rec, term_res = op.fwd(*given)
            kl, kl_res = divergence.fwd(mean, log_var)
            rec, kl = rec / len(x), kl / len(x)
            saved = trunk_res, heads_res, sample_res, decoder_res, term_res, kl_res
            return (rec + beta * kl, VaeAux(rec, kl, y)), saved

        def backward(res: Any, loss_bar: Array) -> tuple[Tree, Array, None, None]:
            trunk_res, heads_res, sample_res, decoder_res, term_res, kl_res = res
            (spec,) = decoder_res.output[1]
            op = bernoulli_term if pixels == "bernoulli" else gaussian_term
            share = loss_bar / spec.shape[0]
            y_bar, x_bar, *_ = op.bwd(term_res, _like(share, term_res))
            z_bar, last_bar = decoder.bwd(decoder_res, y_bar)
            bars = gaussian_sample.bwd(sample_res, z_bar)[:2]
            more = divergence.bwd(kl_res, _like(beta * share, kl_res))
            h_bar, both_bar = heads.bwd(heads_res, (bars[0] + more[0], bars[1] + more[1]))
            around, first_bar = trunk.bwd(trunk_res, h_bar)
            names = "encode1", "mean", "log_var", "decode1", "decode2"
            every = first_bar[0], *both_bar, last_bar[0], last_bar[2]
            params_bar = {
                name: {"w": w_bar, "b": b_bar}
                for name, (w_bar, b_bar) in zip(names, every, strict=True)
            }
            return params_bar, x_bar + around, None, None

        Op.__init__(
            self,
            forward,
            backward,
            definition,
            domains={"state": FIXED, "key": KEY},
            check=self.check_arguments,
            tolerance=ROUNDING,
            has_aux=True,
            example=partial(_example, self),
            name="vae",
            composed=True,
        )
        object.__setattr__(self, "__doc__", vae.__doc__)

    def check_arguments(self, params: Any, x: Any, state: Any, key: Any, train: bool) -> None:
        """Raise for arguments that do not fit the layers."""
        if x.shape[1:] != self.input_shape or not len(x):
            wanted = f"(n, {self.input_shape[0]}) with examples"
            raise ShapeError(f"{self.name}: x has shape {x.shape}, expected {wanted}")
        if key is None:
            raise ArgumentError(
                f"{self.name}: key is None, expected a PRNG key: the code is a sample; pass "
                "key=jax.random.key(0)"
            )
        Layers(self.name, self.layers).check(params, state, key, train)

    def encode(self, params: Any, x: Array) -> tuple[Array, Array]:
        """The mean and the log-variance of the code of each example."""
        each = [(params[name]["w"], params[name]["b"]) for name in ("encode1", "mean", "log_var")]
        return heads.fwd(trunk.fwd(x, (each[0], ()))[0], (each[1], each[2]))[0]

    def decode(self, params: Any, z: Array) -> Array:
        """The logits or means of some codes (n, latent): for z standard normal, new examples."""
        each = [(params[name]["w"], params[name]["b"]) for name in ("decode1", "decode2")]
        return decoder.fwd(z, (each[0], (), each[1]))[0]


def vae(
    features: int,
    hidden: int = 256,
    latent: int = 16,
    *,
    pixels: Pixels = "bernoulli",
    var: float = 1.0,
    beta: float = 1.0,
) -> Vae:
    """A variational auto-encoder of affine layers; its loss is the negative ELBO.

    Maths: h = relu(x W + b), m = h W + b and v = h W + b; z = m + e^(v/2) n, n standard normal
        noise; y = relu(z W + b) W + b; loss = the mean over the examples of
        -ln p(x | y) + beta KL(N(m, e^v) | N(0, 1)). -ln p is the binary cross-entropy with the
        logits y, or (pixels="gaussian") that of N(y, var) but for a constant. Backward, the ops in
        reverse: m, v and x each serve twice, so their gradients add.
    Shapes: x (n, features), for "bernoulli" from 0 to 1; the code z (n, latent); loss ().
    Residuals: those of the ops. The noise is drawn again.
    Kinks: those of relu.
    Raises: ShapeError for an x of another shape; ArgumentError for other params or no key;
        OptionError for an unknown kind of pixels, for var or beta not above 0.
    Source: Kingma and Welling 2013, "Auto-encoding variational Bayes"; beta: Higgins et al. 2017.

    Example:
        >>> model = vae(6, hidden=4, latent=2)
        >>> params, x = model.init(jax.random.key(0)), jnp.full((3, 6), 0.5)
        >>> (loss, aux), res = model.fwd(params, x, key=jax.random.key(1))
        >>> params_bar = model.bwd(res, 1.0)[0]
        >>> jax.tree.map(jnp.shape, params_bar) == jax.tree.map(jnp.shape, params)
        True
    """
    check_sizes("vae", features=features, hidden=hidden, latent=latent)
    if pixels not in ("bernoulli", "gaussian"):
        raise OptionError(f"vae: pixels is {pixels!r}, expected 'bernoulli' or 'gaussian'")
    for name, value in (("var", var), ("beta", beta)):
        if not value > 0:
            raise OptionError(f"vae: {name} is {value}, expected a number above 0")
    return Vae(features, hidden, latent, pixels, var, beta)


def _like(bar: Array, res: Any) -> Array:
    (spec,) = res.output[1]
    return bar.astype(spec.dtype)


def _example(model: Vae, rng: np.random.Generator) -> tuple[Any, ...]:
    """Arguments for verification: no bias is 0."""
    params = near_first(rng, Layers(model.name, model.layers).weights())
    x = jnp.asarray(rng.uniform(0.05, 0.95, (3, *model.input_shape)), jnp.float32)
    return params, x, {}, jax.random.key(int(rng.integers(2**31)))


OPS = (vae(4, 3, 2),)
