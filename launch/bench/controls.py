#!/usr/bin/env python3
"""usage: launch/bench/controls.py OUT_DIR [JOURNEYS [SEEDS]]

Negative controls on level B logs (K = 100), a log and a run a seed: of each control how many of the
clusters' ett.one_step lie within 1.96 standard errors of 0, and the mean z, by seed and pooled.
Fails when a pooled figure leaves its bars: 92 to 98 %, mean z within 0.2 of 0. ALM names the
program (default build/alm), ALM_SYNTH further options of synth, ALM_TRAIN of train, THREADS the
threads of a run (default 2). A run that is there is not made again.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

OUT = Path(sys.argv[1])
JOURNEYS = sys.argv[2] if len(sys.argv) > 2 else "100000"
SEEDS = int(sys.argv[3]) if len(sys.argv) > 3 else 10
ALM = os.environ.get("ALM", "build/alm")
CONTROLS = ("shuffled_mediator", "shuffled_treatment", "future_touches")


def alm(*arguments):
    subprocess.run([ALM, *arguments, "--threads", os.environ.get("THREADS", "2"), "--quiet"],
                   check=True, stdout=subprocess.DEVNULL)


def controls_of(seed):
    run = OUT / f"seed{seed}"
    if not (run / "report.html").exists():
        log = OUT / f"log{seed}"
        shutil.rmtree(log, ignore_errors=True)
        alm("synth", "--out", log, "--journeys", JOURNEYS, "--seed", str(seed),
            *os.environ.get("ALM_SYNTH", "").split())
        alm("train", "--log", log, "--out", run, "--seed", str(seed), "--controls",
            ",".join(CONTROLS), "--resume", *os.environ.get("ALM_TRAIN", "").split())
        shutil.rmtree(log)
    estimates = json.loads((run / "estimates.json").read_text())
    made = estimates["identification"]["negative_controls"]
    return {one["control"]: one for one in made}


def spread(runs, key):
    """Standard error of the mean over seeds: the clusters of a seed share a log and a fit."""
    values = [one[key] for one in runs]
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    made = [controls_of(seed) for seed in range(1, SEEDS + 1)]
    print("| control | " + " | ".join(f"seed {seed}" for seed in range(1, SEEDS + 1)) +
          " | clusters | within 1.96 | mean z | mean over error |")
    print("|---" * (SEEDS + 5) + "|")
    held = True
    for name in CONTROLS:
        runs = [of[name] for of in made]
        clusters = sum(one["clusters"] for one in runs)
        within = sum(one["clusters"] * one["share_within_1_96"] for one in runs) / clusters
        mean = sum(one["clusters"] * one["mean_z"] for one in runs) / clusters
        held &= 0.92 <= within <= 0.98 and abs(mean) <= 0.2
        cells = [f"{one['verdict']}, {100 * one['share_within_1_96']:.0f} %, {one['mean_z']:+.2f}"
                 for one in runs]
        print(f"| {name} | " + " | ".join(cells) + f" | {clusters:,} | {100 * within:.1f} % | "
              f"{mean:+.3f} ± {spread(runs, 'mean_z'):.3f} | "
              f"{statistics.mean(one['mean_over_error'] for one in runs):+.3f} ± "
              f"{spread(runs, 'mean_over_error'):.3f} |")
    sys.exit(0 if held else "a pooled figure is outside its bars")


main()
