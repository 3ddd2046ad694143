"""The only room with I/O: socket and gate, state file, config watching, log, push, webhooks, lifecycle.

It turns wire into events, hands them to the engine, and turns decisions into answers. It takes no decision of its own.
"""
