"""Measurements: each package or module here is a command that prints its figures."""
