"""Augmentation of images: (key, x) -> x, run on each mini-batch."""

import jax
import jax.numpy as jnp
from jaxtyping import Array


def shift_images(key: Array, x: Array, *, pixels: float = 0.5) -> Array:
    """Move each image (n, c, h, w) by up to `pixels` up or down, left or right.

    Between pixels the values are interpolated; from beyond the edge zeros come in.
    """
    moves = jax.random.uniform(key, (len(x), 2), x.dtype, -pixels, pixels)
    return jax.vmap(move_image)(x, moves)


def move_image(image: Array, move: Array) -> Array:
    """Move one image (c, h, w) down and right by the two numbers in `move`."""
    _, h, w = image.shape
    return _interpolation(h, move[0]) @ image @ _interpolation(w, move[1]).T


def _interpolation(size: int, move: Array) -> Array:
    """The matrix (size, size) that moves a vector: row i mixes the entries around i - move."""
    place = jnp.arange(size, dtype=move.dtype)
    return jnp.maximum(0, 1 - jnp.abs(place[:, None] - move - place))
