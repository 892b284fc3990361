"""usage: reasons.py ALM

Contract 3: every number of estimates.json is there, or null with a reason: under KEY_why beside it, or
under `why` in the same object. Walks the estimates of one run of each kind.
"""

import json
import os
import subprocess
import sys
import tempfile

ALM = os.path.abspath(sys.argv[1])
# What a reader asks of the grid of sensitivities is the first number that turns the sign; null: none does.
MAY_BE_NULL = {"turning_share"}


def run(*words):
    done = subprocess.run([ALM, *map(str, words), "--quiet"], capture_output=True, text=True, timeout=200)
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")


def unexplained(value, path=""):
    """Paths of nulls without a reason."""
    if isinstance(value, list):
        for at, item in enumerate(value):
            if item is None:
                yield f"{path}[{at}]"
            yield from unexplained(item, f"{path}[{at}]")
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}"
            if key in MAY_BE_NULL:
                continue
            if item is None and not value.get(f"{key}_why") and not value.get("why"):
                yield where
            yield from unexplained(item, where)


LOGS = {
    "b": ("--level", "B", "--journeys", 4000, "--clusters", 12),
    "few": ("--level", "B", "--journeys", 150, "--clusters", 30),
    "feedback": ("--level", "B", "--journeys", 2000, "--clusters", 8, "--feedback"),
    "rare": ("--level", "B", "--journeys", 2000, "--clusters", 8, "--rare"),
    "arms": ("--level", "A", "--journeys", 3000),
}
RUNS = (
    ("b", ()),
    ("b", ("--outcome-head", "general")),
    ("b", ("--folds", 2)),
    ("b", ("--critic", "off")),
    ("b", ("--controls", "shuffled_mediator,future_touches")),
    ("b", ("--mediator", "proxy")),
    ("b", ("--mediator", "proxy", "--proxy-input", "clean")),
    ("few", ()),
    ("few", ("--outcome-head", "general")),
    ("few", ("--mediator", "proxy", "--proxy-input", "clean")),
    ("feedback", ()),
    ("feedback", ("--outcome-head", "general")),
    ("rare", ()),
    ("arms", ()),
    ("arms", ("--tmle",)),
    ("arms", ("--nuisance", "tabular")),
)

found = []
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for name, options in LOGS.items():
        run("synth", "--out", name, *options)
    for at, (log, options) in enumerate(RUNS):
        out = f"run-{at}"
        run("train", "--log", log, "--out", out, "--model", "tiny", "--epochs", 1, "--threads", 1, *options)
        files = [f"{out}/estimates.json"]
        if not at % 4:
            run("evaluate", "--run", out, "--log", log, "--out", "only.json", "--prediction-only")
            files.append("only.json")
        for path in files:
            with open(path, encoding="utf-8") as file:
                found += [f"{log} {options} {path}: {where}" for where in unexplained(json.load(file))]
if found:
    sys.exit(f"FAILED: {len(found)} nulls without a reason:\n" + "\n".join(found[:40]))
