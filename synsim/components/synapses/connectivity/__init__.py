"""How a synapse wires its two sides: a linear map and its two transposes."""
