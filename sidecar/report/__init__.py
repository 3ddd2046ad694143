"""What people read: the status report as text and as JSON.

Pure formatting of the engine's snapshot: no I/O, no decision, no number that the snapshot does not hold.
"""
