"""What `doctor` looks at, in the order in which it is shown: the machine, the daemon, OpenCode.

Each check is a function of the paths that gives findings; it looks and changes nothing. Every problem names its fix.
"""
