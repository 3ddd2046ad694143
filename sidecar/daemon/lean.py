"""What the daemon's libraries would load for themselves and a daemon has no use for: kept out while they are imported.

Standard library only, and nothing may depend on it: loaded without it, the daemon does the same and is heavier. Each
entry says what it saves; one that stops saving goes.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Draws tracebacks on terminals, for structlog, wherever it happens to be installed; our log draws none (3 MB).
_UNUSED = "rich"
# Where OpenSSL finds the machine's certificates. aiohttp reads them all at import, for a client that only webhooks need
# and that is given its own when it is (`webhooks.py`, 2 MB).
_CERTIFICATES = "SSL_CERT_FILE"
# Plugins of pydantic could see every event; and looking for some takes a while.
_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


@contextmanager
def lean_imports() -> Iterator[None]:
    """Import within this what is to be light; afterwards everything can be imported as ever."""
    os.environ[_PLUGINS] = "__all__"
    certificates = os.environ.get(_CERTIFICATES)
    os.environ[_CERTIFICATES] = os.devnull
    blocked = _UNUSED not in sys.modules
    if blocked:
        sys.modules[_UNUSED] = None  # type: ignore[assignment] # how Python is told that there is none
    try:
        yield
    finally:
        if blocked:
            del sys.modules[_UNUSED]
        if certificates is None:
            del os.environ[_CERTIFICATES]
        else:
            os.environ[_CERTIFICATES] = certificates
