"""Cooldowns: what failed, what rests and until when.

Nothing in here knows what else could be used.
"""
