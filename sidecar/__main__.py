"""`python -m sidecar` is `rate-limit-sidecar`."""

import sys

from sidecar.cli import main

sys.exit(main())
