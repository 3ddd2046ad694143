"""A closed world for the real OpenCode: scripted providers on loopback and an isolated home.

The demo shows a switch in it, the end-to-end tests prove everything in it. Nothing in here is used by the daemon.
"""
