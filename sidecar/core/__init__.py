"""Pure decisions: `(state, event, now) -> decisions`.

Nothing in here does I/O, reads a clock, logs or knows asyncio; nothing in here imports from outside `core` and the
models of `config`. Times are epoch seconds (float, UTC) handed in by the caller, durations are seconds.
"""
