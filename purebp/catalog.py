"""OPS: every op by its name, and by family. Made from each module's own OPS tuple."""

import difflib
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from purebp import activations, gates, layers, linalg, losses, models
from purebp.errors import UnknownOpError
from purebp.op import Op

FAMILIES: Mapping[str, tuple[Op, ...]] = MappingProxyType(
    {
        "gates": gates.OPS,
        "activations": activations.OPS,
        "linalg": linalg.OPS,
        "layers": layers.OPS,
        "losses": losses.OPS,
        "models": models.OPS,
    }
)


def _by_name(families: Mapping[str, tuple[Op, ...]]) -> Mapping[str, Op]:
    ops = [op for group in families.values() for op in group]
    twice = [name for name, count in Counter(op.name for op in ops).items() if count > 1]
    if twice:
        raise ValueError(f"names that two ops have: {', '.join(twice)}")
    return MappingProxyType({op.name: op for op in ops})


OPS: Mapping[str, Op] = _by_name(FAMILIES)


def families() -> Mapping[str, tuple[Op, ...]]:
    """The ops by family: gates, activations, linalg, layers, losses, models."""
    return FAMILIES


def find(name: str) -> Op:
    """The op of that name, or an error with the nearest one."""
    if name in OPS:
        return OPS[name]
    close = difflib.get_close_matches(name, OPS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "`purebp ops` lists them all"
    raise UnknownOpError(f"unknown op {name!r}; {hint}")
