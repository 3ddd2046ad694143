"""What the daemon keeps out while it loads: it is out, nothing else is changed, and TLS still knows whom to trust."""

import asyncio
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import os, sys
from sidecar.daemon.lean import lean_imports
try:
    with lean_imports():
        import sidecar.daemon.main
        raise ImportError("a library that cannot be loaded")
except ImportError:
    print(sys.modules.keys() & {"rich", "sqlite3", "sidecar.core.refusals.classify"})
    print(os.environ.get("SSL_CERT_FILE"))
    import rich
"""
POSTED = """
import asyncio, sys
from sidecar.daemon.lean import lean_imports
with lean_imports():
    from sidecar.daemon.webhooks import HttpPost

async def main():
    post = HttpPost()
    try:
        print(*await asyncio.gather(post(sys.argv[1], b"{}"), post(sys.argv[1], b"{}"), return_exceptions=True))
    finally:
        await post.close()

asyncio.run(main())
"""


async def run(code: str, *arguments: str, **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", code, *arguments),
        env={"PYTHONPATH": str(ROOT), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode()


@pytest.mark.parametrize("certificates", [{}, {"SSL_CERT_FILE": "/mine.pem"}])
async def test_what_is_not_needed_is_not_loaded_and_everything_is_as_before(certificates: dict[str, str]) -> None:
    assert (await run(LOADED, **certificates)).split("\n")[:2] == ["set()", certificates.get("SSL_CERT_FILE", "None")]


@pytest.fixture
def certificate(home: Path) -> Path:
    """Make a certificate of this machine's own, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    made = home / "certificate.pem"
    subject = "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"
    command = "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject
    subprocess.run([*command, "-keyout", made, "-out", home / "only.pem"], check=True, capture_output=True)
    with made.open("a") as file:
        file.write((home / "only.pem").read_text())
    return made


async def test_a_webhook_trusts_the_certificates_of_the_machine_and_no_other(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def take(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site: Any = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    try:
        url = f"https://localhost:{site._server.sockets[0].getsockname()[1]}/"
        assert await run(POSTED, url, SSL_CERT_FILE=str(certificate)) == "204 204\n"
        assert await run(POSTED, url) == "ClientConnectorCertificateError ClientConnectorCertificateError\n"
    finally:
        await runner.cleanup()
