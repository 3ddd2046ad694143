"""Clock steps, sleeps and restarts at random: the machine of `tests/core/test_clock_machine.py`, for longer."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.reliability.findings import Finding
from tests.core.test_clock_machine import Clocks


def measure(examples: int = 1_000, steps: int = 40) -> list[Finding]:
    """Run `examples` lives of up to `steps` happenings each."""
    run_state_machine_as_test(
        Clocks, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, database=None)
    )
    return [
        Finding(
            "Clock one hour back, a day ahead, sleep, restarts across both: no rest outlives its length, no count is "
            "negative or more than was sent",
            "hypothesis steps the clock, lets time pass, sleeps and restarts at random and compares with real time",
            f"{examples} lives of up to {steps} steps, no counterexample",
            True,
        )
    ]
