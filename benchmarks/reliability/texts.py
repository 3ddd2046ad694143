"""Texts made by a coverage-guided fuzzer (atheris), in a throwaway environment that needs a package index."""

import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import ROOT

RUNS = 100_000
_ATHERIS = "atheris>=3,<4"
_SEEDS = (
    '{"error":{"message":"Rate limit reached, try again in 1m30s","code":"rate_limit_exceeded","retry_after":3}}',
    "You exceeded your current quota. Quota resets at 2026-01-01T00:00:00Z. Please retry in 12.5s.",
    'This model\'s maximum context length is 8192 tokens. // comment\n/* x */ {"a": [1, 2,],}',
    "Incorrect API key provided: sk-abcdefgh1234. Authorization: Bearer x, https://u:p@h/?key=1",
)


def measure(runs: int = RUNS) -> list[Finding]:
    """Run the fuzzer `runs` times on seeds that look like real refusals."""
    with tempfile.TemporaryDirectory(prefix="rls-") as made:
        place = Path(made)
        venv.create(place / "venv", with_pip=True)
        python = place / "venv" / "bin" / "python"
        wanted = [_ATHERIS, f"pydantic=={version('pydantic')}"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)  # noqa: S603 - named above
        corpus = place / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(_SEEDS):
            (corpus / str(number)).write_bytes(seed.encode())
        ran = subprocess.run(  # noqa: S603 - our own interpreter, our own code
            [python, "-m", "benchmarks.reliability.text_target", f"-runs={runs}", "-max_len=4096", corpus],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        said = ran.stdout + ran.stderr
    done = re.findall(r"Done (\d+) runs", said)
    edges = re.findall(r"cov: (\d+)", said)
    trouble = "" if done else said[-500:].replace("\n", " ")
    return [
        Finding(
            "No text makes the classifier, the reader of headers, the JSONC reader or redaction fail",
            "atheris, guided by coverage, from seeds that look like refusals",
            f"{done[0] if done else 0} texts, {edges[-1] if edges else 0} branches reached, "
            f"{0 if ran.returncode == 0 else 1} crashes {trouble}".strip(),
            ran.returncode == 0 and bool(done),
        )
    ]
