"""The gates that move entries or change their format: no tests of functions of numbers for them."""

from purebp.gates import casting, padding, pieces, shape

MOVING = {op.name for op in (*casting.OPS, *shape.OPS, *pieces.OPS, *padding.OPS)}
