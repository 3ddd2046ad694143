"""The command line, run for real in homes of its own."""
