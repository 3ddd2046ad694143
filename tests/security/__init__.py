"""What must hold against whoever else is on this machine, and for the keys that pass through."""
