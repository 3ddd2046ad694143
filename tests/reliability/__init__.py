"""What must hold when things around the daemon go wrong; the long versions are `python -m benchmarks.reliability`."""
