#!/usr/bin/env python3
"""usage: soak_removal.py OUT_DIR [REPLICATES [JOURNEYS]]

Coverage of the 95 % intervals of `removal` and of `ett` over level B logs (default 200 replicates of 50,000
journeys, K = 20, half of the users held out, one fit each; a seed of its own makes the clusters and the rows
of each). Prints after every tenth replicate and at the end; fails when the coverage of `removal` lies outside
[0.93, 0.97] by more than two of its standard errors over the replicates. ALM names the program (default
build/alm). Replicates that are there are not repeated.
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
LOWEST, HIGHEST = 0.93, 0.97


def replicate(out, seed, journeys):
    """Per estimand: (z, se, error of the plug-in) of each cluster with an interval."""
    kept = out / f"{seed}.json"
    if not kept.exists():
        log, run = out / f"log_{seed}", out / f"run_{seed}"
        for folder in (log, run):
            shutil.rmtree(folder, ignore_errors=True)
        call(ALM, "synth", "--quiet", "--journeys", journeys, "--clusters", 20, "--seed", seed, "--out", log)
        call(ALM, "train", "--quiet", "--log", log, "--out", run, "--holdout", 0.5)
        values = {"removal": [], "ett": []}
        for effect in json.loads((run / "estimates.json").read_text())["effects"]:
            for name, list_ in values.items():
                if effect[name]["ci95"]:
                    truth = effect["truth"][name]
                    list_.append([(effect[name]["one_step"] - truth) / effect[name]["se"],
                                  effect[name]["se"], effect[name]["plugin"] - truth])
        kept.write_text(json.dumps(values))
        for folder in (log, run):
            shutil.rmtree(folder)
    return json.loads(kept.read_text())


def summary(values):
    """Coverage and its standard error over replicates, and a line about them."""
    shares = [sum(abs(z) < 1.96 for z, _, _ in one) / len(one) for one in values if one]
    coverage = statistics.mean(shares)
    error = statistics.stdev(shares) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan
    all_z = [z for one in values for z, _, _ in one]
    errors = [z * se for one in values for z, se, _ in one]
    plugin = [error for one in values for _, _, error in one]
    line = (f"{len(shares)} replicates, {len(all_z)} intervals: coverage {coverage:.4f} (se {error:.4f}), "
            f"z mean {statistics.mean(all_z):+.3f} sd {statistics.pstdev(all_z):.3f}, bias {statistics.mean(errors):+.5f} "
            f"(plug-in {statistics.mean(plugin):+.5f}), RMSE {math.sqrt(statistics.mean(e * e for e in errors)):.5f} "
            f"(plug-in {math.sqrt(statistics.mean(e * e for e in plugin)):.5f})")
    return coverage, error, line


def main():
    out = Path(sys.argv[1])
    replicates = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    journeys = int(sys.argv[3]) if len(sys.argv) > 3 else 50_000
    out.mkdir(parents=True, exist_ok=True)
    done = []
    for seed in range(1, replicates + 1):
        done.append(replicate(out, seed, journeys))
        if seed % 10 == 0 or seed == replicates:
            for name in ("removal", "ett"):
                print(f"{name}: {summary([one[name] for one in done])[2]}", flush=True)
    coverage, error, _ = summary([one["removal"] for one in done])
    if not LOWEST - 2 * error <= coverage <= HIGHEST + 2 * error:
        sys.exit(f"FAILED: coverage of removal {coverage:.4f} (se {error:.4f}) is not in [{LOWEST}, {HIGHEST}]")


if __name__ == "__main__":
    main()
