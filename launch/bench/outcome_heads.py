#!/usr/bin/env python3
"""usage: outcome_heads.py OUT_DIR [JOURNEYS [SEEDS]]

The table of docs/results.md on the outcome heads of sequence logs: level B logs (default 300,000 journeys,
K = 100, seeds 1 and 2), each trained with either head by the default network, effects on held-out users
against the truth of the same touches. The generator's law is separable, so both heads should agree. ALM
names the program (default build/alm), RANKS the ranks of each run (default 2). Runs that are there are not
repeated.
"""
import json
import operator
import os
import shutil
import statistics
import sys
from pathlib import Path

from program import call

HEADS = ("separable", "general")
LEAST_TOUCHES = 20
ALM = os.environ.get("ALM", "build/alm")
RANKS = os.environ.get("RANKS", "2")


def run_of(out, journeys, seed, head):
    run = out / f"run_{seed}_{head}"
    if not (run / "estimates.json").exists():
        log = out / f"log_{seed}"
        shutil.rmtree(run, ignore_errors=True)
        if not log.exists():
            call(ALM, "synth", "--quiet", "--journeys", journeys, "--seed", seed, "--out", log)
        call("mpirun", "--oversubscribe", "-n", RANKS, ALM, "train", "--quiet", "--log", log, "--out", run,
             "--outcome-head", head)
    return json.loads((run / "estimates.json").read_text())


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    places = [0.0] * len(values)
    for place, at in enumerate(order):
        places[at] = place
    return places


def against_truth(effects, value):
    """Spearman over clusters, and mean over mean by touches."""
    mine, truth = [value(effect) for effect in effects], [effect["truth"]["ett"] for effect in effects]
    touches = [effect["touches"] for effect in effects]
    ratio = sum(map(operator.mul, touches, mine)) / sum(map(operator.mul, touches, truth))
    return [f"{statistics.correlation(ranks(mine), ranks(truth)):.3f}", f"{ratio:.3f}"]


def row(seed, head, estimates, other):
    effects = [effect for effect in estimates["effects"]
               if effect["touches"] >= LEAST_TOUCHES and effect["ett"]["ci95"]]
    covered = [effect["ett"]["ci95"][0] <= effect["truth"]["ett"] <= effect["ett"]["ci95"][1]
               for effect in effects]
    widths = [effect["ett"]["ci95"][1] - effect["ett"]["ci95"][0] for effect in effects]
    theirs = {effect["cluster"]: effect["ett"] for effect in other["effects"]}
    apart = [abs(effect["ett"]["one_step"] - theirs[effect["cluster"]]["one_step"]) / effect["ett"]["se"]
             for effect in effects if theirs[effect["cluster"]]["one_step"] is not None]
    drawn = [effect["ett"]["monte_carlo"]["plugin_se"] / effect["ett"]["se"]
             for effect in effects if "monte_carlo" in effect["ett"]]
    cells = [seed, head, f"{estimates['prediction']['logloss']:.4f}",
             *against_truth(effects, lambda effect: effect["ett"]["plugin"]),
             *against_truth(effects, lambda effect: effect["ett"]["one_step"]),
             f"{sum(covered) / len(covered):.3f}", f"{statistics.median(widths):.3f}",
             f"{statistics.mean(apart):.2f}", f"{max(drawn):.3f}" if drawn else "-"]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main():
    out = Path(sys.argv[1])
    journeys = int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    out.mkdir(parents=True, exist_ok=True)
    titles = ["seed", "head", "log loss", "`ett.plugin`: Spearman", "ratio", "`ett.one_step`: Spearman",
              "ratio", "coverage 95 %", "median width", "one-step apart from the other head, in errors",
              "largest Monte Carlo error of the plug-in, in errors"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for seed in range(1, seeds + 1):
        made = {head: run_of(out, journeys, seed, head) for head in HEADS}
        for head, other in (HEADS, HEADS[::-1]):
            row(seed, head, made[head], made[other])
        shutil.rmtree(out / f"log_{seed}", ignore_errors=True)


if __name__ == "__main__":
    main()
