"""How the weights of a synapse change."""
