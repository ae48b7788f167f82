"""Synapses: one class, `Synapse`, put together from a connectivity, dynamics and a rule; type names are presets."""
