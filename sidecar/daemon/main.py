"""A daemon's life: put everything together, serve until told to stop, leave nothing unsaved.

Wiring only. The lock is already held when this is loaded (`lifecycle.py`), so everything heavy is imported here.
"""

import asyncio
import gc
import importlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TextIO

from aiohttp import web

from sidecar import __version__
from sidecar.config.load import VARIABLE
from sidecar.config.models import Config
from sidecar.daemon.configs import Configs
from sidecar.daemon.connections import IDLE_S, Connections, raise_file_limit
from sidecar.daemon.history import History
from sidecar.daemon.lifecycle import BACKLOG, Place
from sidecar.daemon.log import Log
from sidecar.daemon.metrics import Facts, Metrics
from sidecar.daemon.places import history_file, log_file, state_file
from sidecar.daemon.push import Broadcaster
from sidecar.daemon.seal import Seal
from sidecar.daemon.selftests import SelfTests
from sidecar.daemon.server import Server
from sidecar.daemon.service import Service
from sidecar.daemon.watch import Watcher
from sidecar.daemon.webhooks import HttpPost, Webhooks
from sidecar.paths import Paths
from sidecar.verified import Verified

TICK_S = 2.0
# An answer under way gets this long when the daemon is told to stop.
GRACE_S = 1.0


async def serve(
    place: Place,
    paths: Paths,
    env: Mapping[str, str] = os.environ,
    *,
    terminal: TextIO | None = None,
    clock: Callable[[], float] = time.time,
    tick_s: float = TICK_S,
    stop: asyncio.Event | None = None,
) -> int:
    """Serve at `place` until SIGTERM, SIGINT, `stop`, or until the socket is no longer ours; gives the exit code.

    SIGHUP reads the configuration again. Does not release `place`.
    """
    stopping = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        raise_file_limit()
        daemon = Daemon(place, paths, env, terminal, clock)
        stack.push_async_callback(daemon.close)
        await daemon.open()
        loop = asyncio.get_running_loop()
        for number, act in (
            (signal.SIGTERM, stopping.set),
            (signal.SIGINT, stopping.set),
            (signal.SIGHUP, lambda: daemon.reload(force=True)),
        ):
            loop.add_signal_handler(number, act)
            stack.callback(loop.remove_signal_handler, number)
        # The tables of refusals take as long to load as half of everything else, and nobody needs them yet.
        await asyncio.to_thread(importlib.import_module, "sidecar.core.refusals.classify")
        # What start-up made stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.enable()
        while not stopping.is_set():
            try:
                await asyncio.wait_for(stopping.wait(), tick_s)
            except TimeoutError:
                if not daemon.tick():
                    stopping.set()
    return 0


class Daemon:
    """Everything that runs, wired: `open` it, `tick` it every few seconds, `close` it."""

    def __init__(
        self, place: Place, paths: Paths, env: Mapping[str, str], terminal: TextIO | None, clock: Callable[[], float]
    ) -> None:
        self._place, self._paths, self._env = place, paths, env
        configs = Configs(paths.config, env.get(VARIABLE))
        self._log = Log(log_file(paths, configs.user.log.file), configs.user.log, terminal=terminal)
        self.log = self._log.logger
        self._push = Broadcaster()
        self._post = HttpPost()
        self._hooks = Webhooks(self._post, self.log)
        self._watcher = Watcher(lambda: configs.files, self.reload)
        self._self_tests = SelfTests(
            Verified(paths.verified), self.log, env, clock=clock, enabled=lambda: configs.user.self_test
        )
        self._watching: asyncio.Task[None] | None = None
        state = state_file(paths, configs.user.state_file, env)
        self.history = History(history_file(state), self.log, clock=clock)
        self._metrics = Metrics()
        self._seal = Seal(paths.seal)
        self.service = Service(
            configs,
            state,
            self.log,
            clock=clock,
            listeners=(self._log.notice, self._push.notice, self._hooks.notice, self.history.put, self._metrics.notice),
            writers=(self.history.put, self._metrics.record),
            toast=self._push.toast,
            applied=self._applied,
            opened=self._watcher.refresh,
            judge=self._self_tests.judge,
            changed=self._push.changed,
            shows=self._seal.show,
        )
        self._push.picture = self.service.glance
        self.service.other_problems = lambda: tuple(filter(None, (self._log.problem, self.history.problem)))
        self._connections = Connections(lambda: self._runner.server)
        server = Server(self.service, self._push, os.geteuid(), self.metrics, asked=self._connections.asks)
        self._runner = web.AppRunner(
            server.app, access_log=None, handle_signals=False, shutdown_timeout=GRACE_S, keepalive_timeout=IDLE_S
        )

    async def open(self) -> None:
        """Begin to answer and to watch."""
        self.history.start()
        self._seal.open()
        self._hooks.configure(self.service.configs.user.webhooks)
        await self._runner.setup()
        await web.SockSite(self._runner, self._place.listener, backlog=BACKLOG).start()
        self._watching = asyncio.get_running_loop().create_task(self._watcher.run())
        self.log.info("serving", version=__version__, pid=os.getpid(), socket=str(self._place.path))

    def reload(self, *, force: bool = False) -> None:
        """Read the configuration files again: those that changed, or (`force`, on SIGHUP) all, and reopen the log."""
        try:
            if force:
                self._reopen_log(self.service.configs.user)
            self.service.reload(force=force)
        except Exception:
            self.log.exception("reloading failed")

    def metrics(self) -> str:
        """Give what Prometheus asks for."""
        store, history = self.service.store, self.history
        facts = Facts(
            version=__version__,
            started=self.service.started,
            saves=store.writes,
            save_s=store.save_s,
            history_queue=len(history),
            history_written=history.written,
            history_dropped=history.dropped,
        )
        return self._metrics.render(self.service.snapshot(), facts)

    def tick(self) -> bool:
        """Look after what nobody reports; False when the socket was deleted or belongs to another daemon now."""
        self.service.tick()
        self._connections.tick()
        self._push.changed()
        if self.service.configs.unsettled:
            self.reload()
        if self._place.ours():
            return True
        self.log.warning("the socket was deleted or replaced, stopping", socket=str(self._place.path))
        return False

    async def close(self) -> None:
        """Stop listening, end the streams, finish answers under way, save."""
        self._watcher.stop()
        self._push.close()
        await self._runner.cleanup()
        if self._watching is not None:
            await self._watching
        await self._self_tests.close()
        await self._hooks.close()
        await self._post.close()
        if self._place.ours():
            self._seal.close()
        # When another daemon took our place the file is its own: what was acknowledged is saved, no more is written.
        await self.service.store.close(flush=self._place.ours())
        await self.history.close()
        self.log.info("stopped", pid=os.getpid())
        self._log.close()

    def _applied(self, config: Config) -> None:
        self._reopen_log(config)
        self._hooks.configure(config.webhooks)
        state = state_file(self._paths, config.state_file, self._env)
        if os.path.realpath(state) != str(self.service.store.path):
            self.log.warning("state_file takes effect with: rate-limit-sidecar restart", state_file=str(state))

    def _reopen_log(self, config: Config) -> None:
        self._log.apply(log_file(self._paths, config.log.file), config.log)
