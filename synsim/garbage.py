"""When Python looks for garbage: not while JAX is imported, and never among what an import leaves.

An import makes objects by the hundred thousand, and they stay. Python looks through them again and again as they come,
and once more as it ends: four tenths of the time of `import jax`. What a config's check makes and drops is given back
without such a search, so that a process without it takes no more memory (measured).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """As long as it lasts no search, and where JAX is imported meanwhile none among what is there at its end.

    In a process that has JAX already, or that does not search by itself, it does nothing.
    """
    if "jax" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if "jax" in sys.modules:
            gc.freeze()
        gc.enable()
