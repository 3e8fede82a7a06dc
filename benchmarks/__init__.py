"""Measurements of batcher on this machine: ``python -m benchmarks``. Never part of the gate."""
