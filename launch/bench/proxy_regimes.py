#!/usr/bin/env python3
"""usage: proxy_regimes.py OUT_DIR [JOURNEYS [SEED]]

The table of docs/results.md on proxy mode: its scores against the truth on level B logs (default
100,000 journeys, K = 100, seed 1) whose match and proxies are clean, leak or are noisy, with
undefined matches left out or filled with 0, beside observed mode. A filled log is a copy made here
with h5py: the program has no option that reads an undefined match as 0. ALM names the program
(default build/alm), RANKS the ranks of each run (default 2). Runs that are there are not repeated.
"""
import json
import math
import os
import shutil
import sys
from pathlib import Path

from program import call

REGIMES = {  # name: options of synth, whether undefined matches are filled with 0
    "clean": ([], False),
    "leak .1": (["--leak", "0.1"], False),
    "leak .3": (["--leak", "0.3"], False),
    "noise .2": (["--proxy-noise", "0.2"], False),
    "filled": ([], True),
    "filled, leak .3": (["--leak", "0.3"], True),
}
PROXY = ["--mediator", "proxy"]
RUNS = {  # name: options of train; those after the first four for the clean regime alone
    "reads none": PROXY,
    "reads clean": PROXY + ["--proxy-input", "clean"],
    "reads all": PROXY + ["--proxy-input", "all"],
    "reads none, a_A 0": PROXY + ["--adversary-weight", "0"],
    "reads none, a_A 1": PROXY + ["--adversary-weight", "1"],
    "reads none, pcgrad": PROXY + ["--pcgrad"],
}
EVERYWHERE = 3

ALM = os.environ.get("ALM", "build/alm")
RANKS = os.environ.get("RANKS", "2")


def fill_matches(folder):
    import h5py
    for path in folder.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            match = file["touch/match"][:]
            match[match != match] = 0
            file["touch/match"][:] = match


def log_of(out, regime, journeys, seed):
    options, filled = REGIMES[regime]
    folder = out / ("log " + regime).replace(" ", "_").replace(",", "")
    if not folder.exists():
        call(ALM, "synth", "--quiet", "--journeys", journeys, "--seed", seed, "--out", folder, *options)
        if filled:
            fill_matches(folder)
    return folder


def run_of(out, regime, name, journeys, seed, options):
    run = out / f"{regime} {name}".replace(" ", "_").replace(",", "")
    if not (run / "estimates.json").exists():
        shutil.rmtree(run, ignore_errors=True)
        call("mpirun", "--oversubscribe", "-n", RANKS, ALM, "train", "--quiet", "--log",
             log_of(out, regime, journeys, seed), "--out", run, *options)
    return json.loads((run / "estimates.json").read_text())


def shown(value, digits=3):
    good = isinstance(value, (int, float)) and math.isfinite(value)
    return f"{value:.{digits}f}" if good else "-"


def row(regime, name, score, truth, estimates):
    identification = estimates["identification"]
    code = identification.get("code", {})
    error = truth["touch_rmse"] / truth["touch_sd"]
    cells = [regime, name, score, shown(truth["cluster_spearman"]), shown(truth["oracle_auuc_05"]),
             shown(error), shown(truth["slope"]), shown(truth["ratio"]),
             shown(identification["mediator_variance_share"]),
             shown(estimates["prediction"]["auc"]), shown(code.get("value_mean")),
             f"{shown(code.get('match_auc'))} / {shown(code.get('match_auc_without_code'))}",
             shown(code.get("cluster_information")),
             f"{shown(code.get('discriminator_loss'))} / {shown(code.get('entropy_floor'))}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    out = Path(sys.argv[1])
    journeys = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    out.mkdir(parents=True, exist_ok=True)
    titles = ["log", "run", "score", "Spearman", "AUUC", "RMSE / sd", "slope", "ratio",
              "Var(code given T,X) share", "outcome AUC", "mean code",
              "match AUC with / without code", "cluster information", "D loss / H(Y)"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    observed = run_of(out, "clean", "observed", journeys, seed, [])
    row("clean", "observed", "`do` (an effect)", observed["truth"], observed)
    backdoor = None
    for regime in REGIMES:
        for at, (name, options) in enumerate(RUNS.items()):
            if at >= EVERYWHERE and regime != "clean":
                continue
            estimates = run_of(out, regime, name, journeys, seed, options)
            for score in ("paper", "do"):
                if estimates["truth"][score]:
                    row(regime, name, score, estimates["truth"][score], estimates)
            backdoor = estimates["truth"]["paper"]["backdoor_auuc_05"]
            auc = estimates["identification"]["code"]["outcome_auc_backdoor"]
    print(f"\nBack-door: AUUC {shown(backdoor)}, outcome AUC {shown(auc)}")


if __name__ == "__main__":
    main()
