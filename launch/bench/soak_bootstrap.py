#!/usr/bin/env python3
"""usage: soak_bootstrap.py OUT_DIR [DATA_SETS [REPLICATES [MODEL]]]

The bootstrap of users with refitted nuisances (--bootstrap-fits) against the one-step intervals, over level B
logs (default 50 of 20,000 journeys, K = 20, 100 replicates each, --model reference; a seed of its own makes the
clusters and the rows of each): width over width, and coverage of the true effects of the scored touches. Prints
after every data set. ALM names the program (default build/alm). Data sets that are there are not repeated, and
a run that was cut off goes on from its last replicate.
"""
import json
import math
import os
import shutil
import statistics
import sys
from pathlib import Path

from program import call

ALM = os.environ.get("ALM", "build/alm")
KINDS = {  # name: estimand, its value, key of the bootstrap's errors
    "ett.one_step": ("ett", "one_step"),
    "removal.one_step": ("removal", "one_step"),
    "do.plugin": ("do", "plugin"),
}


def data_set(out, seed, replicates, model):
    """Per kind a list over clusters of [value, truth, one-step se or None, bootstrap se, percentile95]."""
    kept = out / f"{seed}.json"
    if not kept.exists():
        log, run = out / f"log_{seed}", out / f"run_{seed}"
        if not run.exists():
            shutil.rmtree(log, ignore_errors=True)
            call(ALM, "synth", "--quiet", "--journeys", 20_000, "--clusters", 20, "--seed", seed, "--out", log)
        call(ALM, "train", "--quiet", "--resume", "--log", log, "--out", run, "--model", model,
             "--bootstrap-fits", replicates)
        values = {kind: [] for kind in KINDS}
        for effect in json.loads((run / "estimates.json").read_text())["effects"]:
            for kind, (estimand, estimate) in KINDS.items():
                of = effect[estimand]
                if of["bootstrap"] is None:
                    continue
                boot = of["bootstrap"][estimate]
                values[kind].append([of[estimate], effect["truth"][estimand],
                                     None if estimand == "do" else of["se"], boot["se"], boot["percentile95"]])
        kept.write_text(json.dumps(values))
        shutil.rmtree(log)
        shutil.rmtree(run)
    return json.loads(kept.read_text())


def share(sets, held):
    """Mean over data sets of the share held, and its standard error over data sets."""
    shares = [sum(held(*row) for row in rows) / len(rows) for rows in sets if rows]
    error = statistics.stdev(shares) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan
    return f"{statistics.mean(shares):.3f} (se {error:.3f})"


def summary(kind, sets):
    rows = [row for rows_ in sets for row in rows_]
    line = f"{kind}: {len(sets)} data sets, {len(rows)} effects; coverage "
    line += f"sd {share(sets, lambda v, t, _, se, __: abs(v - t) <= 1.96 * se)}, "
    if rows[0][4]:
        line += f"percentile {share(sets, lambda v, t, _, __, p: p[0] <= t <= p[1])}, "
    if rows[0][2]:
        line += f"one-step {share(sets, lambda v, t, se, _, __: abs(v - t) <= 1.96 * se)}; "
        ratios = [row[3] / row[2] for row in rows]
        line += (f"bootstrap over one-step width: mean {statistics.mean(ratios):.3f}, "
                 f"median {statistics.median(ratios):.3f}")
    else:
        line += f"mean error {statistics.mean(row[0] - row[1] for row in rows):+.5f}"
    return line


def main():
    out = Path(sys.argv[1])
    data_sets = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    replicates = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    model = sys.argv[4] if len(sys.argv) > 4 else "reference"
    out.mkdir(parents=True, exist_ok=True)
    done = []
    for seed in range(1, data_sets + 1):
        done.append(data_set(out, seed, replicates, model))
        for kind in KINDS:
            print(summary(kind, [one[kind] for one in done]), flush=True)


if __name__ == "__main__":
    main()
