"""One file per command of `rate-limit-sidecar`, each with `run(args) -> exit code`.

A command imports what it needs when it runs, so that `status` answers fast; it holds no policy.
"""
