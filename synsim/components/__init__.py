"""Models: one neuron, encoder, trace, error, source or readout in each file. Synapses have a package of their own."""
