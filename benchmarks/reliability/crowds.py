"""Many connections that ask nothing, and some that ask very slowly: the daemon answers others all the while.

Everything on one real daemon; times are its own limits, measured from outside.
"""

import socket
import statistics
import time
from pathlib import Path

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import Home, about
from sidecar.daemon.connections import FIRST_REQUEST_S
from sidecar.daemon.gate import BODY_S
from sidecar.daemon.main import TICK_S

IDLE = 1_000
_HEAD = b"POST /v1/route HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
SLOW = {
    "nothing at all": b"",
    "half a request line": b"GET /v1/he",
    "a header a second": b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n",
    "half a body": _HEAD + b"\r\n{",
}


def measure(idle: int = IDLE, files: int | None = None) -> list[Finding]:
    """Open `idle` connections, then ask; and hold connections as slow clients do until they are cut."""
    limit = () if files is None else ("prlimit", f"--nofile={files}:{files * 8}")
    with Home(wrapper=limit) as home:
        home.serve()
        held = [_connect(home.paths.socket) for _ in range(idle)]
        times = []
        for number in range(100):
            began = time.monotonic()
            home.ask("POST", "/v1/route", about(f"a{number}"))
            times.append(time.monotonic() - began)
        cut = slowly(home)
        gone = sum(_cut(one) for one in held)
        for one in held:
            one.close()
        health = home.health() or {}
        failed = [line for line in home.logged() if line["level"] in ("error", "critical")]
    longest = max(FIRST_REQUEST_S, BODY_S) + 2 * TICK_S
    return [
        Finding(
            "A thousand idle connections keep nobody out",
            f"{idle} connections that say nothing are open while another asks 100 questions",
            f"median {statistics.median(times) * 1e3:.1f} ms, longest {max(times) * 1e3:.0f} ms; {gone} of {idle} were "
            f"cut after {FIRST_REQUEST_S:g} s; {len(failed)} errors logged",
            gone == idle and health.get("state") == "ok" and not failed,
        ),
        Finding(
            "Slow clients are cut: a request that is not complete, a body that does not come",
            f"limits: {FIRST_REQUEST_S:g} s for a first request, {BODY_S:g} s for a body; looked at every {TICK_S:g} s",
            "; ".join(f"{name}: {f'after {after:.0f} s' if after else 'never'}" for name, after in cut.items()),
            all(after is not None and after <= longest + 3 for after in cut.values()),
        ),
    ]


def slowly(home: Home) -> dict[str, float | None]:
    """Ask as slow clients do; gives the seconds until each was answered with an error or cut, None for never."""
    clients = {name: _connect(home.paths.socket) for name in SLOW}
    began = time.monotonic()
    for name, client in clients.items():
        client.sendall(SLOW[name])
    cut: dict[str, float | None] = dict.fromkeys(SLOW)
    step = 0
    while None in cut.values() and time.monotonic() - began < FIRST_REQUEST_S + BODY_S + 10:
        time.sleep(0.5)
        step += 1
        for name, client in clients.items():
            if cut[name] is None and _cut(client):
                cut[name] = time.monotonic() - began
            elif cut[name] is None and name == "a header a second" and step % 2:
                _say(client, f"X-{step}: slow\r\n".encode())
    for client in clients.values():
        client.close()
    return cut


def _connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    client.setblocking(False)
    return client


def _say(client: socket.socket, what: bytes) -> None:
    try:
        client.send(what)
    except OSError:
        return


def _cut(client: socket.socket) -> bool:
    """Whether the other end has said something (an error) or is gone."""
    try:
        client.recv(65_536)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
