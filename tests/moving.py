"""The gates that move entries or change their format: no tests of functions of numbers for them."""

from purebp.gates import (
    casting,
    convolution,
    indexing,
    ordering,
    padding,
    pieces,
    scatter_extreme,
    scattering,
    shape,
    sliding,
    window_extreme,
    windows,
)

MODULES = (
    *(casting, shape, pieces, padding),
    *(windows, window_extreme, convolution),
    *(indexing, sliding, scattering, scatter_extreme, ordering),
)
MOVING = {op.name for module in MODULES for op in module.OPS}
