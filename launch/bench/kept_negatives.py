#!/usr/bin/env python3
"""usage: kept_negatives.py OUT_DIR [JOURNEYS [SEEDS]]

The table of docs/results.md on logs that keep a share of the journeys without an outcome: level B logs
(default 300,000 journeys drawn, K = 100, seeds 1 to 4) at keep rates 1, 0.3 and 0.1, each trained by the
default network. Sizes of effects must not move with the rate; intervals may widen. ALM names the program
(default build/alm), RANKS the ranks of each run (default 2). Runs that are there are not repeated.
"""
import json
import math
import os
import shutil
import statistics
import sys
from pathlib import Path

from program import call

RATES = ("1", "0.3", "0.1")
ALM = os.environ.get("ALM", "build/alm")
RANKS = os.environ.get("RANKS", "2")


def run_of(out, journeys, seed, rate):
    run = out / f"run_{seed}_{rate}"
    if not (run / "estimates.json").exists():
        log = out / f"log_{seed}_{rate}"
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(log, ignore_errors=True)
        call(ALM, "synth", "--quiet", "--journeys", journeys, "--seed", seed, "--keep-negatives", rate,
             "--out", log)
        call("mpirun", "--oversubscribe", "-n", RANKS, ALM, "train", "--quiet", "--log", log, "--out", run)
        shutil.rmtree(log)
    return json.loads((run / "estimates.json").read_text())


def by_cluster(estimates):
    return {effect["cluster"]: effect for effect in estimates["effects"] if effect["ett"]["ci95"]}


def mean(effects, touches, *keys):
    """Over clusters, each by its touches in the whole log, so that all rates share their weights."""
    total = 0
    for cluster, weight in touches.items():
        value = effects[cluster]
        for key in keys:
            value = value[key]
        total += weight * value
    return total / sum(touches.values())


def spread(values):
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.3f} ± {error:.3f}"


def row(rate, runs, whole):
    samples = sum(run["samples"] for run in runs) / len(runs)
    ratio, one_step, survival, widths, covered, z = [], [], [], [], [], []
    for run, all_kept in zip(runs, whole):
        base = by_cluster(all_kept)
        mine = by_cluster(run)
        touches = {k: base[k]["touches"] for k in base if k in mine}
        ratio.append(mean(mine, touches, "do", "plugin") / mean(mine, touches, "truth", "do"))
        one_step.append(mean(mine, touches, "ett", "one_step") / mean(mine, touches, "truth", "ett"))
        survival.append(mean(mine, touches, "do", "plugin") / mean(mine, touches, "ett", "plugin")
                        / (mean(mine, touches, "truth", "do") / mean(mine, touches, "truth", "ett")))
        for k in touches:
            one, other = mine[k]["ett"], base[k]["ett"]
            widths.append(one["ci95"][1] - one["ci95"][0])
            covered.append(one["ci95"][0] <= mine[k]["truth"]["ett"] <= one["ci95"][1])
            if run is not all_kept:
                z.append((one["one_step"] - other["one_step"]) / math.hypot(one["se"], other["se"]))
    agree = f"{sum(abs(v) < 1.96 for v in z) / len(z):.3f}" if z else "-"
    cells = [rate, f"{samples:,.0f}", spread(ratio), spread(one_step), spread(survival),
             f"{statistics.mean(run['truth']['cluster_spearman'] for run in runs):.3f}",
             f"{sum(covered) / len(covered):.3f}", f"{statistics.median(widths):.3f}", agree,
             f"{statistics.mean(z):+.2f}" if z else "-"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    out = Path(sys.argv[1])
    journeys = int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    out.mkdir(parents=True, exist_ok=True)
    titles = ["keep rate", "journeys scored", "`do.plugin` / truth", "`ett.one_step` / truth",
              "Lambda / truth", "Spearman", "coverage 95 %", "median width",
              "agree with rate 1", "mean z against rate 1"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    runs = {rate: [run_of(out, journeys, seed, rate) for seed in range(1, seeds + 1)] for rate in RATES}
    for rate in RATES:
        row(rate, runs[rate], runs["1"])


if __name__ == "__main__":
    main()
