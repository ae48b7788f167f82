"""What a component is made of: declarations, and the rounding that keeps recording neutral."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim.component import Component, Size, View, as_shape, count, inlet, param, rounded, state, static


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_changes_no_value_and_no_derivative(dtype):
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray([1.5, -2.25, 0.0, 1e30], dtype)
        zero = jnp.int32(0)
        assert rounded(x, zero).dtype == x.dtype
        np.testing.assert_array_equal(rounded(x, zero), x)
        assert rounded(x, 0) is x
        value, slope = jax.jvp(lambda x: rounded(x * x, zero) + x, (x[:3],), (jnp.ones(3, dtype),))
        np.testing.assert_allclose(value, x[:3] ** 2 + x[:3])
        np.testing.assert_allclose(slope, 2 * x[:3] + 1)
        np.testing.assert_allclose(jax.grad(lambda x: rounded(x**2, zero).sum())(x[:3]), 2 * x[:3])
        many = jax.jit(jax.vmap(lambda x: rounded(3 * x, zero)))(x)
        np.testing.assert_array_equal(many, 3 * x)


def test_a_concrete_declaration_is_final_and_says_what_it_is():
    class Leak(Component):
        """tau dv/dt = -v. Source: none."""

        family: ClassVar[str] = "neuron"
        n_units: Size = static("Number of units.")
        tau: float = param("Time constant.", "ms", default=2.0)
        rate = inlet("Rate.", default="tau", size="", batch=False)
        v = state("Potential.", start="tau")

    cell = Leak(n_units=(2, 3))
    assert cell.sizes() == {"unit": (2, 3)} and cell.axes("unit") == ("y", "x")
    assert cell.setting(cell.compartments["rate"].default) == 2.0
    assert cell.fitted(None, None) is cell and cell.problems() == []
    assert [type(leaf) for leaf in jax.tree.leaves(cell)] == [float]
    with pytest.raises(TypeError, match="final"):
        type("Other", (Leak,), {})
    with pytest.raises(TypeError, match="docstring"):
        type("Bare", (Component,), {})
    with pytest.raises(AttributeError, match=r"c has no compartment 'w'; it has v"):
        View("c", {"v": 1}).w  # noqa: B018


def test_sizes():
    assert as_shape(5) == (5,) and as_shape((2, 3)) == (2, 3)
    assert count(()) == 1 and count((2, 3, 4)) == 24
