"""Pure decisions: `(state, event, now) -> decisions`.

Nothing in here does I/O, reads a clock, logs or knows asyncio; nothing in here imports from outside `core` but the data
of `config` (its models and the built-in catalogue). Times are epoch seconds (float, UTC) handed in by the caller,
durations are seconds.
"""
