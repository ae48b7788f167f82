"""Sweeps: points that differ in some settings, run side by side in one program, or spread over a cluster."""
