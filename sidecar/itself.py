"""How this program is started again: with the same interpreter and the same code, whatever PATH or the directory holds.

Standard library only.
"""

import sys
from pathlib import Path

# Not `-m sidecar`: that would import from the current directory first, and a project may well have a json.py.
_CODE = (
    "import sys; sys.path.append(sys.argv[1]); sys.argv = sys.argv[2:]; from sidecar.cli import main; sys.exit(main())"
)


def words(*arguments: str) -> list[str]:
    """Give the words of the command line that runs `rate-limit-sidecar ARGUMENTS`."""
    root = str(Path(__file__).resolve().parent.parent)
    return [sys.executable, "-P", "-c", _CODE, root, "rate-limit-sidecar", *arguments]
