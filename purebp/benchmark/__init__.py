"""How fast and how lean each hand-derived pair is, against `jax.grad` and PyTorch."""

from purebp.benchmark.cases import CASES as CASES
from purebp.benchmark.measure import Row as Row
from purebp.benchmark.measure import measure as measure
