"""Usage: what was used, in windows, held against limits.

Only counting and comparing; nothing in here decides what to use next.
"""
