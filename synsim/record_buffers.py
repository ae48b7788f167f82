"""The arrays that records are written to on the device, which are handed back to it once everybody has read them.

New memory has to be filled with zeros and mapped page by page, which for large records takes as long as to compute
them. So a program is given the arrays that it writes rows to, and makes its results in their place.
"""

from __future__ import annotations

import weakref
from typing import Any

import jax
import numpy as np


class RecordBuffers:
    """Arrays to write records to: those that nobody reads any more, or new ones."""

    def __init__(self) -> None:
        self._free: dict[Any, list[jax.Array]] = {}

    def given(self, shapes: dict[str, jax.ShapeDtypeStruct]) -> dict[str, jax.Array]:
        """An array for each shape, of any content. A program that it is given to may take its memory."""
        return {path: self._one(shape.shape, shape.dtype) for path, shape in shapes.items()}

    def _one(self, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        free = self._free.setdefault((shape, np.dtype(dtype)), [])
        if free:
            return free.pop()
        # a copy, for memory that is numpy's cannot be given away
        return jax.device_put(np.zeros(shape, dtype), may_alias=False)

    def read(self, array: Any) -> np.ndarray:
        """The values of an array. One of those asked for is free again when they, and what looks at them, are gone.

        Should it be handed out while somebody still reads it, its memory is not written to: JAX takes other memory.
        """
        free = self._free.get((array.shape, array.dtype))
        if free is None or {device.platform for device in array.devices()} != {"cpu"}:
            return np.asarray(array)
        values = np.from_dlpack(jax.block_until_ready(array))
        weakref.finalize(values, free.append, array).atexit = False
        return values

    def forget(self) -> None:
        """Give the memory back: others are wanted from now on."""
        self._free = {}
