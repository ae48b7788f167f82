"""Parity with the reference: the same settings and inputs, step by step, in both programs."""
