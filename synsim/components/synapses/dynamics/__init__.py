"""What arrives on the postsynaptic side of a synapse, given what its weights transmit."""
