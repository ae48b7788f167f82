"""`python -m synsim` is the command `synsim`."""

from synsim.cli import main

main()
