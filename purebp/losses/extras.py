"""What softmax cross-entropy may do besides: ignored labels, label smoothing, the z-loss."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from purebp.errors import OptionError


class Extras(NamedTuple):
    """Label smoothing e and z-loss l: loss = (1 - e) CE + e mean_j(lse - z_j) + l lse^2.

    CE = lse - z_t, lse = ln sum_j e^{z_j}. Smoothing is the cross-entropy with the targets
    (1 - e) 1_t + e / v; the z-loss keeps lse near 0. Together
    z_bar = loss_bar (p (1 + 2 l lse) - (1 - e) 1_t - e / v), p = softmax(z).
    Sources: Szegedy et al. 2016, section 7; Chowdhery et al. 2022 (PaLM), section 5.
    """

    smoothing: float
    z_loss: float

    def define(self, losses: Array, z: Array) -> Array:
        """The plain definition, of the cross-entropies and the logits."""
        lse = jax.nn.logsumexp(z, axis=-1)
        spread = jnp.mean(lse[..., None] - z, axis=-1)
        return (1 - self.smoothing) * losses + self.smoothing * spread + self.z_loss * lse**2

    def add(self, losses: Array, z: Array, lse: Array) -> Array:
        """The same, with lse (*batch, 1) as the forward pass has it."""
        spread = lse[..., 0] - jnp.mean(z, axis=-1)
        penalty = self.z_loss * jnp.square(lse[..., 0])
        return (1 - self.smoothing) * losses + self.smoothing * spread + penalty

    def factors(self, share: Array, lse: Array, classes: int) -> tuple[Array, Array]:
        """What multiplies p, and what is subtracted, for the classes that are not the label."""
        return 1 + 2 * self.z_loss * lse, share * (self.smoothing / classes)

    def at_label(self, scale: Array, own: Array, others: Array, lse: Array, classes: int) -> Array:
        """z_bar_t, with 1 - p_t as the share of the others; scale = loss_bar / (own + others)."""
        uniform = own - (own + others) / classes
        right = -(1 - self.smoothing) * others
        return scale * (right + self.smoothing * uniform + 2 * self.z_loss * lse * own)


def counted_labels(labels: Array, ignore: int | None) -> tuple[Array, Array | None]:
    """The labels with 0 for those to ignore, and which are not ignored (None: all count)."""
    if ignore is None:
        return labels, None
    counted = labels != ignore
    return jnp.where(counted, labels, 0), counted


def check_extras(op: str, ignore: int | None, smoothing: float, z_loss: float) -> None:
    """Raise unless ignore is an integer or None, smoothing below 1 and z_loss not negative."""
    if ignore is not None and (isinstance(ignore, bool) or not isinstance(ignore, int)):
        raise OptionError(f"{op}: ignore is {ignore!r}, expected an integer label or None")
    if not 0 <= smoothing < 1:
        raise OptionError(f"{op}: smoothing is {smoothing}, expected a number from 0 to below 1")
    if not z_loss >= 0:
        raise OptionError(f"{op}: z_loss is {z_loss}, expected a number that is not negative")
