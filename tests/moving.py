"""The gates that move entries or change their format: no tests of functions of numbers for them."""

from purebp.gates import (
    casting,
    indexing,
    ordering,
    padding,
    pieces,
    scatter_extreme,
    scattering,
    shape,
    sliding,
)

MODULES = (
    *(casting, shape, pieces, padding),
    *(indexing, sliding, scattering, scatter_extreme, ordering),
)
MOVING = {op.name for module in MODULES for op in module.OPS}
