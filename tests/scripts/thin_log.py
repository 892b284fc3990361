"""usage: thin_log.py ALM

A log too small for most of its clusters, end to end: no interval where there is too little data or the
fit took too few steps, nothing hidden without a reason, and `alm evaluate` says the same.
"""

import json
import os
import subprocess
import sys
import tempfile

ALM = sys.argv[1]


def check(holds, what):
    if not holds:
        print(f"FAILED: {what}")
        sys.exit(1)


def run(*words):
    done = subprocess.run([ALM, *words, "--quiet"], capture_output=True, text=True, timeout=100)
    check(done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def trained(name, *options):
    text = run("train", "--log", "log", "--out", name, "--model", "tiny", "--threads", "2", *options)
    return text, read(f"{name}/estimates.json")


def intervals(estimates):
    return [effect for effect in estimates["effects"] if effect["ett"]["ci95"]]


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    run("synth", "--journeys", "2500", "--out", "log")

    text, estimates = trained("run")
    enough = 0
    for effect in estimates["effects"]:
        ett = effect["ett"]
        thin = effect["touches"] < 20 or effect["users"] < 10 or ett["ess"] < 10
        enough += not thin
        check((ett["ci95"] is None) == thin, f"interval of {effect}")
        check(not thin or ("too little data" in ett["ci95_why"] and ett["se"] is None), f"{effect}")
    hidden = len(estimates["effects"]) - enough
    check(enough > 5 and hidden > 5, f"{enough} clusters with an interval, {hidden} without")
    wanted = f"not shown: {hidden} of {len(estimates['effects'])} clusters, too little data"
    check(wanted in text, f"'{wanted}' in\n{text}")
    with open("run/report.html", encoding="utf-8") as file:
        page = file.read()
    check(f"Left out of the ranking: {hidden} of" in page, "the report says what it leaves out")
    run("evaluate", "--run", "run", "--log", "log", "--out", "again.json")
    check(read("again.json") == estimates, "alm evaluate gives what training gave")

    text, estimates = trained("hasty", "--batch", "1024", "--epochs", "3")
    check(not intervals(estimates), "six steps make no interval")
    warnings = estimates["identification"]["warnings"]
    check(any("the fit took 6 steps" in warning for warning in warnings), f"{warnings}")
    check("the fit took 6 steps" in text, text)
    run("evaluate", "--run", "hasty", "--log", "log", "--out", "hasty.json")
    check(read("hasty.json") == estimates, "alm evaluate knows the steps")
print("ok")
