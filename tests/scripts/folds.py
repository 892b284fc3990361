"""usage: folds.py ALM

`--folds F` through its files. A user's scores come from the fit made without them: when only the
outcomes of one fold's users change, that fold's scores stay to the last bit and the others' move.
The effects are the plain pooling of all users' scores, whatever fit made them.
"""

import os
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import csv
import json

FOLDS = 3
TRAIN = ["--model", "tiny", "--folds", str(FOLDS), "--epochs", "2", "--batch", "256",
         "--deterministic", "--quiet"]
MASK = 2**64 - 1


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def run(*command, wanted=0):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=200)
    check(done.returncode == wanted, f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stderr


def mix(word):
    """SplitMix64's finaliser, as published."""
    word = (word + 0x9e3779b97f4a7c15) & MASK
    word = ((word ^ (word >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    word = ((word ^ (word >> 27)) * 0x94d049bb133111eb) & MASK
    return word ^ (word >> 31)


def fold_of(user):
    return mix(mix(user) ^ mix(3 * 0x2545f4914f6cdd1d & MASK)) % FOLDS


def scores(alm, log, out):
    run(alm, "train", "--log", log, "--out", out, *TRAIN)
    run(alm, "attribute", "--run", out, "--log", log, "--out", f"{out}.csv", "--quiet")
    with open(f"{out}.csv", newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def main():
    alm = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="alm-folds-") as folder:
        os.chdir(folder)
        run(alm, "synth", "--journeys", 4001, "--clusters", 7, "--out", "log", "--quiet")
        before = scores(alm, "log", "run")
        check(len({row["user"] for row in before}) == 2001, "not every user was scored")
        check([int(row["row"]) for row in before] == sorted(int(row["row"]) for row in before),
              "rows are not in the order of the log")

        shutil.copytree("log", "other")
        path = [name for name in os.listdir("other") if name.endswith(".h5")][0]
        with h5py.File(os.path.join("other", path), "r+") as file:
            users = file["/journey/user"][:]
            mine = numpy.array([fold_of(int(user)) == 0 for user in users])
            outcome = file["/journey/outcome"][:]
            outcome[mine] = 1 - outcome[mine]
            file["/journey/outcome"][:] = outcome
            del file["/journey/outcome_time"]
        after = scores(alm, "other", "other-run")
        same = {fold: [] for fold in range(FOLDS)}
        for one, two in zip(before, after):
            same[fold_of(int(one["user"]))].append(one == two)
        check(all(same[0]), "a fold's scores moved with that fold's own outcomes")
        for fold in range(1, FOLDS):
            share = sum(same[fold]) / len(same[fold])
            check(share < 0.01, f"fold {fold}: {share} of the scores did not move")

        estimates = json.load(open("run/estimates.json", encoding="utf-8"))
        check(estimates["samples"] == 4001 and not estimates["in_sample"], "who was scored")
        check("made without them" in estimates["scored"], estimates["scored"])
        check(estimates["grouped_auuc"]["front_door"] is None, "a ranking judged by its own data")
        for effect in estimates["effects"]:
            of = [row for row in before if int(row["cluster"]) == effect["cluster"]]
            for name in ("do", "ett"):
                mean = numpy.mean([float(row[name]) for row in of])
                check(abs(mean - effect[name]["plugin"]) < 1e-7,
                      f"cluster {effect['cluster']}: {name} {effect[name]['plugin']}, pooled {mean}")

        for extra, says in ((["--holdout", "0.2"], "--holdout"), (["--init", "run"], "--init")):
            text = run(alm, "train", "--log", "log", "--out", "x", *TRAIN, *extra, wanted=1)
            check(says in text and len(text.splitlines()) == 1, text)
    print("ok")


main()
