"""How fast this machine runs shipped examples, by themselves and beside the simulators made for such networks."""
