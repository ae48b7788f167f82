"""The commands of the command line, each group of them in a file. They parse, call and print.

JAX, h5py, numpy and the models are imported inside the commands, so that `--help` and `--version` are immediate.
"""
