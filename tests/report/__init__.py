"""The report, line by line."""
