"""Runs in the formats of others: tables, arrays, NWB and SONATA."""
