"""No learning."""

from __future__ import annotations

from synsim.components.synapses.rules.rule import Rule


class StaticRule(Rule, type_name="static"):
    """Weights stay as they are: dW = 0. Source: none."""
