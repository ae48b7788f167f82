"""Where the groups of a sweep are run: on this machine, or by Slurm."""
