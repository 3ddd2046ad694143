"""Programs to measure: a daemon of our own in a place of its own, and a bare server to hold it against."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIM = ROOT / "plugin-shim"
SIDECAR = Path(sys.executable).with_name("rate-limit-sidecar")
BUN = SHIM / "node_modules" / ".bin" / "bun"
_START_S = 20.0
_PAUSE_S = 0.002

# What any HTTP server made with the same library does: read the body and give it back.
ECHO = """
import asyncio, sys
from aiohttp import web

async def echo(request):
    return web.Response(body=await request.read(), content_type="application/json")

async def main():
    app = web.Application()
    app.router.add_post("/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, sys.argv[1]).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def directory() -> Iterator[Path]:
    """Give a directory whose name leaves room for a socket."""
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def environment(home: Path) -> dict[str, str]:
    """Give the variables of a process that finds nothing of the user's own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "RATE_LIMIT_SOCKET": str(home / "s.sock"),
    }


async def answers(socket: Path) -> None:
    """Wait until somebody answers a request at the socket.

    Raises:
        TimeoutError: nobody does.
    """
    async with asyncio.timeout(_START_S):
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(socket))
                writer.write(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                await reader.readline()
                writer.close()
            except OSError:
                await asyncio.sleep(_PAUSE_S)
            else:
                return


@asynccontextmanager
async def running(*command: str, home: Path, socket: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a server, wait until it answers, and stop it at the end."""
    process = await asyncio.create_subprocess_exec(*command, env=environment(home))
    try:
        await answers(socket)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def daemon() -> AsyncIterator[tuple[Path, int]]:
    """Run a daemon of its own; gives its socket and process id."""
    with directory() as home:
        socket = home / "s.sock"
        async with running(str(SIDECAR), "serve", "--quiet", home=home, socket=socket) as process:
            yield socket, process.pid


@asynccontextmanager
async def echo() -> AsyncIterator[Path]:
    """Run the bare server; gives its socket."""
    with directory() as home:
        socket = home / "e.sock"
        async with running(sys.executable, "-c", ECHO, str(socket), home=home, socket=socket):
            yield socket


def memory_mb(pid: int) -> float:
    """Give the resident memory of a process in MB.

    Raises:
        OSError: it is not there, or the system has no `/proc`.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {pid} has no memory")


async def output(*command: str, home: Path, timeout_s: float = 300) -> str:
    """Run a program to its end; gives what it printed.

    Raises:
        RuntimeError: it failed; has what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(home), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(timeout_s):
        out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {err.decode(errors='replace')[-2000:]}")
    return out.decode()


async def took_ms(*command: str, home: Path) -> float:
    """Give how long a program takes from start to end, in milliseconds."""
    began = time.perf_counter()
    await output(*command, home=home)
    return (time.perf_counter() - began) * 1000
