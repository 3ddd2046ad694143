"""A router decision of LiteLLM as a public yardstick: the same question, asked of a library many know.

Installed in an environment of its own that is thrown away; only `Router.get_available_deployment` is called, with what
it keeps in memory (cooldowns, usage), and nothing is sent anywhere.
"""

import json
import subprocess
import sys
import time

from benchmarks.decisions import SIZES
from benchmarks.figures import Section
from benchmarks.process import directory, output
from benchmarks.world import NOW, engine, route

VERSION = "1.100.0"
SCRIPT = """
import json, os, sys, time
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from litellm import Router

found = {}
common = {"api_key": "none", "api_base": "http://127.0.0.1:9", "rpm": 10**6}
runs = int(sys.argv[1])
for size in json.loads(sys.argv[2]):
    for strategy in ("simple-shuffle", "usage-based-routing-v2"):
        models = [
            {"model_name": "m", "litellm_params": {**common, "model": f"openai/m{number}"}}
            for number in range(size)
        ]
        router = Router(model_list=models, routing_strategy=strategy, set_verbose=False)
        taken = []
        for _ in range(runs + runs // 10):
            began = time.perf_counter()
            router.get_available_deployment(model="m", messages=[{"role": "user", "content": "hello"}])
            taken.append((time.perf_counter() - began) * 1e6)
        found[f"{strategy} {size}"] = taken[runs // 10:]
print(json.dumps(found))
"""


def _ours(size: int, runs: int) -> list[float]:
    world = engine(size)
    taken = []
    for run in range(runs):
        asked = route(f"a{run}", f"u{run // 5}")
        began = time.perf_counter()
        world.route(asked, NOW + run / 100)
        taken.append((time.perf_counter() - began) * 1e6)
    return taken


async def measure(quick: bool) -> Section:
    """Decide with both, over as many deployments as we have providers."""
    section = Section(
        "litellm",
        "Beside a known router",
        f"LiteLLM {VERSION}, `Router.get_available_deployment` in memory, every deployment able to answer; ours is the "
        "attempt decision of the engine. They do not do the same: LiteLLM picks one of many, ours looks whether the "
        "one that was chosen may be used, checks its cooldowns, windows and limits, and counts the attempt.",
    )
    runs = 100 if quick else 500
    sizes = SIZES[:3] if quick else SIZES
    with directory() as home:
        python = home / "venv" / "bin" / "python"
        await output(sys.executable, "-m", "venv", str(home / "venv"), home=home)
        # With pip's own settings of whoever runs this: where packages come from is theirs to say.
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"litellm=={VERSION}"]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL, timeout=600)  # noqa: ASYNC221, S603 - nothing else runs
        found = json.loads(
            await output(str(python), "-c", SCRIPT, str(runs), json.dumps(sizes), home=home, timeout_s=600)
        )
    for size in sizes:
        section.add(f"ours, {size:,} providers", "µs", _ours(size, runs * 4))
        for strategy in ("simple-shuffle", "usage-based-routing-v2"):
            section.add(f"LiteLLM {strategy}, {size:,} deployments", "µs", found[f"{strategy} {size}"])
    return section
