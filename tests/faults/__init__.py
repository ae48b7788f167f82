"""What happens to a run on a cluster, done to it on purpose: kills, loss of power, signals, full disks, wrong bits."""
