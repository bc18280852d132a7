"""How the tests run: eight CPU devices, shapes and types checked, Hypothesis profiles.

Compiled programs are kept in pytest's cache: the workers share them, and the next run starts with
them. `--cache-clear` forgets them.

`--hypothesis-profile=thorough` takes another profile than `dev`, or than `ci`, which is the
default where the environment says CI=true.
"""

import os

DEVICES = "--xla_force_host_platform_device_count=8"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {DEVICES}".strip()

import gc  # noqa: E402 - the flags come before JAX
import itertools  # noqa: E402

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

from tests import shape_checks  # noqa: E402

install_import_hook("purebp", f"{shape_checks.__name__}.check")

# A first call compiles, which takes long and says nothing about the property.
COMPILES = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=25, **COMPILES)
settings.register_profile("ci", max_examples=25, derandomize=True, print_blob=True, **COMPILES)
settings.register_profile("thorough", max_examples=1000, **COMPILES)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in {"1", "true"} else "dev")

TESTS = itertools.count(1)
OFTEN = 100


def pytest_configure(config: pytest.Config) -> None:
    """This process and those that it starts read and write the kept programs, small ones too."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return
    kept = {
        "jax_compilation_cache_dir": str(cache.mkdir("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0,
    }
    for name, value in kept.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)


def pytest_runtest_teardown() -> None:
    """Let go of compiled programs: their memory maps are limited, and a full process crashes."""
    if next(TESTS) % OFTEN == 0:
        jax.clear_caches()
        gc.collect()
