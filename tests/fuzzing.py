"""Settings of tests that try random inputs: a stated seed, and a limit of memory.

The seed is always the same, so that a failure is caused by a change. ``benchmarks/fuzzing.py`` tries other seeds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, seed, settings

from trap.workers.limits import limited_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

SEED = int(os.environ.get("TRAP_FUZZ_SEED", "35"))
TIMES = int(os.environ.get("TRAP_FUZZ_TIMES", "1"))
"""Factor on the number of examples."""
MEMORY = 2 << 30
"""bytes — what an example may take beyond what the tests use."""


def fuzz(max_examples: int) -> Callable[[Any], Any]:
    """Decorate a property test: it tries a number of examples, drawn with the seed."""

    def decorate(test: Any) -> Any:
        chosen = settings(
            max_examples=TIMES * max_examples,
            deadline=None,
            derandomize=False,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        return seed(SEED)(chosen(test))

    return decorate


def little_memory() -> AbstractContextManager[None]:
    """Let an example that takes too much memory fail, before it takes all of the machine."""
    return limited_memory(MEMORY)
