"""JAX and numpy, imported when one of their names is first used.

What is wrong with a config, what types there are and what their settings mean is known from declarations alone, so a
module that declares something writes `from synsim.later import jax, jnp` and costs nothing until it computes. In
annotations and inside functions the names are used as ever; at the top of a module they would import JAX after all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import lax
else:
    from importlib import import_module

    class _Later:
        """A module that is imported with the first of its names."""

        def __init__(self, name: str):
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

        def __repr__(self) -> str:
            return f"<{self._name}, imported when it is used>"

    jax, jnp, lax, np = _Later("jax"), _Later("jax.numpy"), _Later("jax.lax"), _Later("numpy")

__all__ = ["jax", "jnp", "lax", "np"]
