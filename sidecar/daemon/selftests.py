"""Which OpenCode versions may be trusted with a handover, and the self-test of those nobody has tried.

A version that is neither the tested one nor has passed a self-test gets turns moved at their beginning only. When a
window of such a version says hello, the self-test is started once in the background (`doctor --live` in a process of
its own, with a limit of time, once per version and day). Decides nothing about turns.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.events import Hello
from sidecar.daemon.log import Logger
from sidecar.itself import words
from sidecar.opencode_binary import OpenCodeMissingError, known_good, on_this_machine
from sidecar.verified import Result, Verified

EDITOR = "opencode"
AGAIN_S = 86_400.0
LIMIT_S = 240.0
_GRACE_S = 10.0
_BY_HAND = "rate-limit-sidecar doctor --live"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether running turns may be handed over, and why not, in words for a person."""

    handover: bool
    why: str = ""


class SelfTests:
    """Judges every window's version; `enabled` says whether the user lets self-tests start by themselves."""

    def __init__(
        self,
        verified: Verified,
        log: Logger,
        env: Mapping[str, str],
        *,
        clock: Callable[[], float],
        enabled: Callable[[], bool],
    ) -> None:
        self._verified, self._log, self._env = verified, log, env
        self._clock, self._enabled = clock, enabled
        self._tested = known_good(env)
        self._started: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def judge(self, hello: Hello) -> Verdict:
        """Say whether a window's turns may be handed over; starts the self-test of a version nobody has tried."""
        version = hello.client_version
        if hello.client != EDITOR or version in self._tested:
            return Verdict(handover=True)
        if not version:
            return Verdict(handover=False, why="OpenCode does not tell its version.")
        result = self._verified.of(version)
        if result is not None and result.passed:
            return Verdict(handover=True)
        if result is None or self._clock() - result.at >= AGAIN_S:
            self._start(version, hello.executable)
        if version in self._running:
            return Verdict(handover=False, why=f"OpenCode {version} is new to the sidecar; a self-test is running.")
        if result is not None:
            return Verdict(handover=False, why=f"OpenCode {version} failed the self-test: {result.why}.")
        return Verdict(handover=False, why=f"OpenCode {version} is new to the sidecar; to try it: {_BY_HAND}.")

    async def close(self) -> None:
        """End what runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, version: str, told: str) -> None:
        now = self._clock()
        tried = self._started.get(version)
        if not self._enabled() or version in self._running or (tried is not None and now - tried < AGAIN_S):
            return
        self._started[version] = now
        binary = self._binary(told)
        if binary is None:
            self._log.warning("OpenCode is new and its program was not found", version=version, instead=_BY_HAND)
            return
        self._log.info("self-test of a new OpenCode", version=version, program=str(binary))
        task = asyncio.get_running_loop().create_task(self._run(version, binary))
        self._running[version] = task
        task.add_done_callback(lambda _: self._running.pop(version, None))

    def _binary(self, told: str) -> Path | None:
        """Give the program the window says it is, else the one on PATH."""
        program = Path(told)
        if program.is_absolute() and program.is_file() and os.access(program, os.X_OK):
            return program
        with suppress(OpenCodeMissingError):
            return on_this_machine(self._env)
        return None

    async def _run(self, version: str, binary: Path) -> None:
        said = b""
        try:
            said = await self._test(version, binary)
        except TimeoutError:
            said = f"no end after {LIMIT_S:g} s".encode()
        except OSError as error:
            said = str(error).encode()
        result = self._verified.of(version)
        if result is None or result.at < self._started[version]:
            # It could not even try: noted, so that the next daemon does not start it again at once.
            why = " ".join(said.decode(errors="replace").split())[-500:] or "it ended without a result"
            result = Result(version, passed=False, at=self._clock(), took_s=0.0, why=why)
            with suppress(OSError):
                self._verified.record(result)
        if result.passed:
            self._log.info("self-test passed", version=version, took_s=result.took_s)
        else:
            self._log.warning("self-test failed", version=version, why=result.why)

    async def _test(self, version: str, binary: Path) -> bytes:
        """Run the test to its end; gives what it complained about.

        Raises:
            TimeoutError: it took too long and was ended.
        """
        process = await asyncio.create_subprocess_exec(
            *words("doctor", "--live", "--gently", "--only", version, "--opencode", str(binary)),
            env=dict(self._env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                return (await process.communicate())[1]
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a process to clean up after itself and go; after a while it goes without, and what it left goes with it."""
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
