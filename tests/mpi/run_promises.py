#!/usr/bin/env python3
"""usage: run_promises.py ALM MPIEXEC CASE

The promises of a training run, kept or not: the same bits on any number of ranks and threads, no
job lost, one line for what is refused. Each case works in a folder of its own and prints what it
compared; the exit code is 0 when all of it held. MPIEXEC may be empty: then cases that need ranks
are skipped (77).
"""
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ALM, MPIEXEC, CASE = sys.argv[1:4]
JOBS = []  # started in the background; ended with the case

# Fifteen steps of 256 journeys an epoch would be enough to learn little, but all parts run: main
# fit, second stage, both halves of the held-out users (which need 2,000 users each).
SMALL = ["--model", "tiny", "--batch", "256", "--epochs", "4", "--holdout", "0.7", "--quiet"]


class Failure(Exception):
    pass


def check(holds, message):
    if not holds:
        raise Failure(message)


def command(ranks, arguments):
    launcher = [MPIEXEC, "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks else []
    return launcher + [ALM] + [str(a) for a in arguments]


def alm(arguments, ranks=0, wanted=0, seconds=120):
    """Runs alm and gives its output; ranks 0: without a launcher."""
    done = subprocess.run(command(ranks, arguments), capture_output=True, text=True,
                          timeout=seconds)
    text = done.stdout + done.stderr
    check(done.returncode == wanted,
          f"exit code {done.returncode}, wanted {wanted}: alm {arguments} on {ranks} ranks\n{text}")
    return text


def arguments_of(log, out, options):
    """The command line of a run; of an option given twice the last holds."""
    named, name = {}, None
    for option in options:
        if str(option).startswith("--"):
            name = option
            named[name] = []
        else:
            named[name] = [option]
    return ["train", "--log", log, "--out", out,
            *(part for name, value in named.items() for part in (name, *value))]


def train(log, out, *options, ranks=0, wanted=0):
    return alm(arguments_of(log, out, options), ranks, wanted)


def sha(text):
    found = re.search(r"^parameters sha256 ([0-9a-f]{64})$", text, re.M)
    check(found, f"no line `parameters sha256`:\n{text}")
    return found.group(1)


def estimates(path):
    values = json.loads(Path(path).read_text())
    for name in ("world_size", "device"):
        values.pop(name)
    return values


def learned(run):
    """The parts of metrics.jsonl that do not depend on the clock."""
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    keys = ("fit", "lambda", "trunk_cosine", "phase", "step", "losses", "validation_loss", "gradient_norm", "lr", "skipped")
    return [{key: line.get(key) for key in keys} for line in lines]


def first_difference(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                return first_difference(a.get(key), b.get(key), f"{path}/{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b)):
            if x != y:
                return first_difference(x, y, f"{path}[{index}]")
    return f"{path}: {str(a)[:200]} and {str(b)[:200]}"


def check_equal(a, b, what):
    check(a == b, f"{what} differ at {first_difference(a, b)}")


# ---- logs ------------------------------------------------------------------------------------

def sequence_log():
    """Six files, the last a short one: blocks do not divide evenly among ranks."""
    alm(["synth", "--journeys", 6100, "--clusters", 20, "--rows-per-file", 1100, "--out", "log",
         "--quiet"])
    return "log"


def item_log():
    alm(["synth", "--journeys", 6100, "--clusters", 20, "--shape", "reference",
         "--rows-per-file", 1700, "--out", "items", "--quiet"])
    return "items"


def arm_log():
    alm(["synth", "--level", "A", "--journeys", 6100, "--rows-per-file", 1700, "--out", "arms",
         "--quiet"])
    return "arms"


def imported_log(name, rows, header, mapping):
    with open(f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    Path(f"{name}.ini").write_text(mapping)
    alm(["import", "--in", f"{name}.csv", "--mapping", f"{name}.ini", "--out", name, "--quiet"])
    return name


def value_log(arms, journeys=6100):
    """Continuous outcomes, weights, dense columns of which one misses values, unobserved
    mediators; an arm log or one of journeys with one to three touches."""
    draw = random.Random(7)
    rows = []
    for journey in range(journeys):
        x = draw.gauss(0, 1)
        missing = draw.random() < 0.2
        z = "" if missing else f"{draw.gauss(5, 3):.4f}"
        weight = draw.choice(["1", "2.5"])
        touches = 1 if arms else 1 + draw.randrange(3)
        events = []
        for _ in range(touches):
            k = draw.randrange(4)
            m = int(draw.random() < 0.2 + 0.1 * k)
            events.append((f"c{k}", m))
        y = 100 + 3 * x + 5 * sum(m for _, m in events) + draw.gauss(0, 2)
        for position, (k, m) in enumerate(events):
            shown = "" if draw.random() < 0.1 else m
            rows.append([f"j{journey}", f"u{journey}", 1_700_000_000_000,
                         1_690_000_000_000 + position, k, shown, f"{y:.4f}", f"{x:.4f}", z,
                         f"g{journey % 3}", weight])
    header = ["journey", "user", "time", "touch_time", "k", "m", "y", "x", "z", "g", "w"]
    journey_form = ["form = journey", "reference_arm = c0"]
    touch_form = ["form = touch"]
    lines = ["[file]", *(journey_form if arms else touch_form), "outcome_kind = continuous",
             "[columns]", "user = user", "time = time", "touch_time = touch_time", "cluster = k",
             "mediator = m", "outcome = y", "dense = x, z", "cat = g", "weight = w"]
    if not arms:
        lines.append("journey = journey")
    return imported_log("values_arms" if arms else "values", rows, header, "\n".join(lines) + "\n")


# ---- the same bits ---------------------------------------------------------------------------

def same_bits(log, options, worlds):
    """worlds: (ranks, threads) pairs; the first is what the others must equal."""
    wanted = None
    for ranks, threads in worlds:
        run = f"{Path(log).name}-{ranks}-{threads}"
        text = train(log, run, *options, "--deterministic", "--report-every", "1",
                     "--threads", threads, ranks=ranks)
        got = (sha(text), learned(run), estimates(f"{run}/estimates.json"),
               json.loads(Path(f"{run}/examples.json").read_text()))
        print(f"{log}: {ranks} ranks of {threads} threads: {got[0]}")
        if wanted is None:
            wanted = got
            continue
        for what, a, b in zip(("sha256", "losses", "estimates", "examples"), wanted, got):
            check_equal(a, b, f"{what} of {worlds[0]} and {(ranks, threads)} ranks and threads")
    return wanted


def case_deterministic_sequence():
    _, lines, values, _ = same_bits(sequence_log(), SMALL,
                                    [(0, 1), (0, 2), (1, 1), (2, 1), (3, 2), (4, 1), (6, 1)])
    fits = {(line["fit"], line["phase"]) for line in lines}
    check(len(fits) == 6, f"not all fits ran: {sorted(fits)}")
    check(values["effects"], "no effects")


def case_deterministic_items():
    same_bits(item_log(), SMALL + ["--cat-rows", "512", "--item-rows", "1024",
                                   "--item-admission", "5"],
              [(0, 1), (0, 2), (2, 1), (3, 1), (6, 1)])


def case_deterministic_arms():
    *_, values, _ = same_bits(arm_log(), SMALL + ["--tmle"], [(0, 1), (0, 2), (3, 1), (4, 1)])
    for effect in values["effects"]:
        check(effect["do"]["tmle"]["largest_score"] < 1e-9, f"not targeted: {effect['do']}")
    same_bits(value_log(True), SMALL, [(0, 1), (2, 2), (3, 1)])


def case_deterministic_values():
    same_bits(value_log(False), SMALL, [(0, 1), (0, 2), (2, 1), (3, 1), (6, 1)])


def case_deterministic_proxy():
    """The code, its adversary and its matching score; the discriminator's steps of its own and
    PCGrad; what evaluate and attribute make of such a run."""
    log = sequence_log()
    proxy = SMALL + ["--mediator", "proxy"]
    _, lines, values, _ = same_bits(log, proxy, [(0, 1), (0, 2), (1, 1), (2, 1), (3, 2), (4, 1)])
    for name in ("proxy", "adversary", "contrastive"):
        check(all(line["losses"][name] > 0 for line in lines if line["phase"] == "train"),
              f"no loss of the {name}")
    check(values["effects"] is None and values["scores"], "scores are no effects")
    for run in ("log-0-1", "log-0-2", "log-1-1", "log-2-1", "log-3-2", "log-4-1"):
        Path(run).rename(run + "-plain")
    options = proxy + ["--proxy-input", "clean", "--discriminator-steps", "3", "--pcgrad",
                       "--adversary-warmup", "0.2"]
    same_bits(log, options, [(0, 1), (2, 2), (3, 1)])
    rows = told_again("log-0-1", log)
    check(len(rows) == sum(score["touches"] for score in
                           estimates("log-0-1/estimates.json")["scores"]), "a row a touch")
    check(all(float(row["paper"]) and row["do"] for row in rows[:50]), "no scores in a row")


def case_deterministic_general():
    """The general head: its draws, what evaluate and attribute make of such a run, folds, and a
    run that is stopped again and again."""
    log = sequence_log()
    general = SMALL + ["--outcome-head", "general"]
    *_, values, _ = same_bits(log, general, [(0, 1), (0, 2), (1, 1), (2, 1), (3, 2), (4, 1)])
    check(values["outcome_head"] == "general", values["outcome_head"])
    check(all(effect["do"]["plugin"] is None and effect["ett"]["monte_carlo"]["plugin_se"] > 0
              for effect in values["effects"]), "ett by draws, and no do")
    rows = told_again("log-0-1", log)
    check(len(rows) == sum(effect["touches"] for effect in values["effects"]), "a row a touch")
    check(all(float(row["ett"]) and float(row["shapley"]) and row["do"] == ""
              for row in rows[:50]), f"not what the head gives: {rows[0]}")
    options = LONG + ["--outcome-head", "general", "--epochs", "3", "--bootstrap-fits", "2"]
    text = train(log, "whole", *options)
    wanted = sha(text), learned("whole"), estimates("whole/estimates.json")
    check_same_end(wanted, run_in_turns(log, "turns", options, 3), "turns")
    folds = general[:general.index("--holdout")] + general[general.index("--holdout") + 2:]
    same_bits(log, folds + ["--folds", "2"], [(1, 2), (3, 1)])


def case_deterministic_pcgrad():
    same_bits(item_log(), SMALL + ["--cat-rows", "512", "--item-rows", "1024", "--item-admission",
                                   "5", "--pcgrad"], [(0, 1), (0, 2), (3, 1)])


def case_default_losses():
    """Without --deterministic: within 1e-6 relative over the first 20 steps."""
    for log, extra in ((sequence_log(), []),
                       (item_log(), ["--cat-rows", "512", "--item-rows", "1024",
                                     "--item-admission", "5"])):
        runs = []
        for ranks, threads in ((0, 1), (0, 2), (2, 1), (3, 1)):
            run = f"{log}-{ranks}-{threads}"
            train(log, run, *SMALL, *extra, "--epochs", "5", "--report-every", "1",
                  "--threads", threads, ranks=ranks)
            lines = [line for line in learned(run) if line["fit"] == "main"
                     and line["phase"] == "train"]
            steps = {line["step"]: line["losses"] for line in lines}
            check(all(step in steps for step in range(1, 21)), f"steps missing in {run}")
            runs.append(steps)
        worst = 0
        for other in runs[1:]:
            for step in range(1, 21):
                for name, value in runs[0][step].items():
                    error = abs(other[step][name] - value) / max(abs(value), 1e-30)
                    worst = max(worst, error)
                    check(error <= 1e-6, f"step {step}, loss {name}: {value}, {other[step][name]}")
        print(f"{log}: largest relative difference over 20 steps {worst:.2g}")


def case_timeline():
    """--timeline has the steps of every rank in order, by the numbers of metrics.jsonl, also of a run that
    goes on, and comm_share is what it shows of them."""
    log, steps = sequence_log(), 12
    train(log, "run", *SMALL, "--epochs", "2", "--checkpoint-every", 5, "--report-every", 1000,
          "--timeline", "timeline.json", "--timeline-steps", steps, ranks=2)
    spans = {0: [], 1: []}
    for event in json.loads(Path("timeline.json").read_text())["traceEvents"]:
        if event["ph"] == "X":
            spans[event["pid"]].append((event["ts"], event["ts"] + event["dur"], event["name"],
                                        event["args"]["step"]))
    phases = ("loader_wait", "compute", "reduce", "update")
    for rank, of_rank in spans.items():
        told = [span for span in sorted(of_rank) if span[2] in phases]
        check([span[2:] for span in told] == [(phase, step) for step in range(1, steps + 1)
                                              for phase in phases], f"phases of rank {rank}: {told}")
        check(all(a[1] <= b[0] + .01 for a, b in zip(told, told[1:])), f"overlap: {told}")
        names = [span[2] for span in of_rank]
        check(names.count("checkpoint") == 2, f"rank {rank}: {names.count('checkpoint')} checkpoints")
        check(names.count("dense gradient") == steps, f"rank {rank}: {names}")
    # Both ranks end a sum after both have begun it: their clocks agree, to 50 ms on a busy machine.
    for one, other in zip(*([span for span in spans[rank] if span[2] == "dense gradient"]
                            for rank in (0, 1))):
        check(min(one[1], other[1]) >= max(one[0], other[0]) - 50000, f"{one}, {other}")
    def first_line(run):
        return json.loads(Path(run, "metrics.jsonl").read_text().split("\n")[0])

    line = first_line("run")
    check(sorted(line["phase_shares"]) == sorted(phases), str(line))

    def seconds(*names):
        return sum(end - begin for begin, end, name, step in spans[0]
                   if name in names and step <= line["step"])

    shown = seconds("losses and flags", "dense gradient") / seconds(*phases)
    check(0 < line["comm_share"] <= line["phase_shares"]["reduce"], str(line))
    check(abs(shown / line["comm_share"] - 1) < .02, f"comm_share {line['comm_share']}, shown {shown}")
    # Stopped, at whichever step that is, and on from there.
    train(log, "parted", *SMALL, "--max-minutes", ".0002", "--report-every", "1", wanted=75)
    before = len(learned("parted"))
    train(log, "parted", *SMALL, "--report-every", "1", "--resume", "--timeline", "parted.json",
          "--timeline-steps", "3")
    reported = [line["step"] for line in learned("parted")[before:]]
    shown = [event["args"]["step"] for event in json.loads(Path("parted.json").read_text())["traceEvents"]
             if event["ph"] == "X" and event["name"] == "compute"]
    check(shown == reported[:3] and shown[0] > 1, f"steps shown {shown}, reported {reported[:5]}")
    train(log, "alone", *SMALL, "--epochs", "1", "--report-every", "5")
    check(first_line("alone")["comm_share"] < .01, "of one rank")
    # Where it cannot be written is known before a run is begun, also of one that is past its first fit.
    for path, says in (("run/config.json", "is no timeline"), ("run", "is no file"),
                       ("run/config.json/x", "its directory cannot be made"),
                       ("/proc/x.json", "cannot be written there")):
        refused(log, "nowhere", *SMALL, "--timeline", path, says=(f"--timeline {path}", says))
        check(not Path("nowhere").exists(), f"--timeline {path}: a run was begun")
    refused(log, "alone", *SMALL, "--epochs", "1", "--resume", "--timeline", "run/config.json",
            says=("--timeline run/config.json", "is no timeline"))
    # Nor one of the files that the run itself makes.
    refused(log, "own", *SMALL, "--epochs", "1", "--timeline", "own/metrics.jsonl",
            says=("--timeline own/metrics.jsonl", "is no timeline"))
    train(log, "deep", *SMALL, "--epochs", "1", "--timeline", "made/for/it.json")
    check(Path("made/for/it.json").exists(), "no timeline in a directory that was not there")


def told_again(run, log):
    """What evaluate and attribute make of a run, the same on any ranks and threads; the rows of
    credit."""
    for ranks, threads in ((0, 2), (3, 1)):
        alm(["evaluate", "--run", run, "--log", log, "--out", "again.json", "--quiet",
             "--threads", threads], ranks)
        check_equal(estimates(f"{run}/estimates.json"), estimates("again.json"),
                    f"estimates of training and of {ranks} ranks of {threads} threads")
        alm(["attribute", "--run", run, "--log", log, "--out", f"{ranks}.csv", "--quiet",
             "--threads", threads], ranks)
    check_prediction_only(run, log, estimates(f"{run}/estimates.json"))
    check(Path("0.csv").read_bytes() == Path("3.csv").read_bytes(), "attributions differ")
    with open("0.csv", newline="") as file:
        return list(csv.DictReader(file))


def check_prediction_only(run, log, wanted, ranks=2):
    """--prediction-only gives what the whole estimates say of prediction, and nothing else."""
    alm(["evaluate", "--run", run, "--log", log, "--out", "only.json", "--quiet", "--prediction-only"],
        ranks)
    got = estimates("only.json")
    for key in ("samples", "users", "scored", "bad_rows", "prediction"):
        check_equal(wanted[key], got[key], f"{key} of --prediction-only")
    check(got["effects"] is None and "--prediction-only" in got["effects_why"], "effects")


def case_evaluate():
    """alm evaluate on the training log: the file that training wrote, bit for bit. With
    --prediction-only the same of prediction."""
    jobs = [(sequence_log(), SMALL),  # not deterministic: a checkpoint is a checkpoint
            (item_log(), SMALL + ["--cat-rows", "512", "--item-rows", "1024"]),
            (arm_log(), SMALL), (value_log(False), SMALL),
            (arm_log_again(), SMALL + ["--nuisance", "tabular"])]
    for log, options in jobs:
        run = f"{log}-run"
        train(log, run, *options, ranks=2)
        wanted = estimates(f"{run}/estimates.json")
        for ranks, threads in ((0, 1), (0, 2), (1, 1), (2, 1), (3, 1), (3, 2)):
            alm(["evaluate", "--run", run, "--log", log, "--out", "again.json", "--quiet",
                 "--threads", threads], ranks)
            check_equal(wanted, estimates("again.json"),
                        f"estimates of training and of {ranks} ranks of {threads} threads")
        check_prediction_only(run, log, wanted)
        print(f"{log}: equal")


def arm_log_again():
    alm(["synth", "--level", "A", "--journeys", 3000, "--rows-per-file", 700, "--seed", 5,
         "--out", "tabular", "--quiet"])
    return "tabular"


def case_controls():
    """Negative controls: the same on any number of ranks, after being stopped in one, and when
    added to a finished run; alm evaluate shows them too."""
    log = sequence_log()
    small = [*SMALL, "--batch", "64", "--epochs", "2"]  # 54 steps: below 50 there is no interval
    options = [*small, "--controls", "all"]
    _, lines, values, _ = same_bits(log, options, [(0, 1), (0, 2), (2, 1), (3, 1), (4, 1)])
    made = values["identification"]["negative_controls"]
    check([one["control"] for one in made] ==
          ["shuffled_mediator", "shuffled_treatment", "future_touches"], f"controls {made}")
    check(all(one["verdict"] in ("pass", "warn", "fail") and one["clusters"] > 5 for one in made),
          f"controls {made}")
    check({line["fit"] for line in lines} ==
          {"main", "half0", "half1", *(one["control"] for one in made)}, "not a fit a control")
    check(all(one["control"].replace("_", " ") in Path("log-0-1/report.html").read_text()
              for one in made), "controls are not in the report")
    alm(["evaluate", "--run", "log-0-1", "--log", log, "--out", "again.json", "--quiet"], 3)
    check_equal(values, estimates("again.json"), "estimates of training and of evaluate")

    plain = [*small, "--deterministic", "--report-every", "1"]
    train(log, "added", *plain)
    none = estimates("added/estimates.json")["identification"]
    check(none["negative_controls"] is None and "--controls" in none["negative_controls_why"], none)
    train(log, "added", *plain, "--controls", "shuffled_treatment", "--resume")
    train(log, "added", *plain, "--controls", "all", "--resume", ranks=2)
    again = estimates("added/estimates.json")["identification"]["negative_controls"]
    check(sorted(again, key=str) == sorted(made, key=str), f"{again} and {made}")

    middle = moments(lines)[("shuffled_treatment", "train")]
    run = "stopped"
    options = [*plain, "--controls", "all", "--checkpoint-every", "3"]
    job = start_until(log, run, middle, 2, *options)
    job.send_signal(signal.SIGUSR1)
    text = job.communicate(timeout=60)[0]
    check(job.returncode == 75, f"exit code {job.returncode}\n{text}")
    alm(["evaluate", "--run", run, "--log", log, "--out", "early.json", "--quiet"])
    early = estimates("early.json")["identification"]["negative_controls"]
    check(early == made[:1], f"controls made before the stop: {early}")
    train(log, run, *options, "--resume", ranks=3)
    check_equal(values, estimates(f"{run}/estimates.json"), "estimates of an undisturbed run")
    shutil.rmtree("log-0-1")
    shutil.rmtree("log-3-1")
    proxy = [*small, "--mediator", "proxy", "--proxy-input", "clean", "--controls", "all"]
    _, _, values, _ = same_bits(log, proxy, [(0, 1), (3, 1)])
    swept = values["identification"]["negative_controls"]
    check([(one["control"], [fit["changed"] for fit in one["fits"]]) for one in swept] ==
          [("dropped_proxy", ["V1", "V2"]), ("adversary_weight", ["0", "1"])], f"sweeps {swept}")
    check(all(fit["spearman"] < 1 for one in swept for fit in one["fits"]), "nothing was changed")

    check("no-such" in train(log, "refused", *small, "--controls", "no-such", wanted=1), "named")


def lasting_users(name, u_to_m):
    """Users with two journeys and one hidden disposition, which chooses touches and uploads and,
    with u_to_m, engagement as well: then the mediators of a later journey know the earlier
    outcome."""
    draw = random.Random(11)
    rows = []
    for user in range(6000):
        u = draw.random() < 0.5
        for visit in range(2):
            touches = []
            for _ in range(1 + draw.randrange(3)):
                k = draw.choices(range(6), [3 if (c % 2) == u else 1 for c in range(6)])[0]
                m = draw.random() < (0.3 if not u_to_m else 0.7 if u else 0.1)
                touches.append((k, int(m)))
            survival = 0.3 if u else 0.9
            for k, m in touches:
                survival *= 1 - 0.1 * m
            y = int(draw.random() > survival)
            for place, (k, m) in enumerate(touches):
                rows.append([f"{user}-{visit}", f"{user}", 10**12 + 1000 * visit,
                             10**12 + 1000 * visit - 9 + place, f"c{k}", m, y])
    header = ["journey", "user", "time", "touch_time", "k", "m", "y"]
    return imported_log(name, rows, header, "\n".join(
        ["[file]", "form = touch", "outcome_kind = binary", "[columns]", "journey = journey",
         "user = user", "time = time", "touch_time = touch_time", "cluster = k", "mediator = m",
         "outcome = y", ""]))


def case_failing_control():
    """Future touches tell a log whose mediators share a hidden cause with the outcome from one
    where they do not; the shuffles, which break every tie, pass on both."""
    for name, u_to_m, wanted in (("sound", False, "pass"), ("tied", True, "fail")):
        log = lasting_users(name, u_to_m)
        text = train(log, f"{name}-run", "--model", "tiny", "--batch", "64", "--epochs", "6",
                     "--holdout", "0.5", "--controls", "all", "--quiet")
        identification = estimates(f"{name}-run/estimates.json")["identification"]
        made = {one["control"]: one for one in identification["negative_controls"]}
        for one in made.values():
            print(name, one["verdict"], one["sentence"])
        check(made["future_touches"]["verdict"] == wanted, f"{name}: {made['future_touches']}")
        for shuffled in ("shuffled_mediator", "shuffled_treatment"):
            check(made[shuffled]["verdict"] != "fail", f"{name}: {made[shuffled]}")
        said = "negative control failed" in text
        check(said == u_to_m, f"{name}: a failed control is warned of, and no other\n{text}")


# ---- no job is lost --------------------------------------------------------------------------

LONG = SMALL + ["--epochs", "12", "--deterministic", "--report-every", "5"]
KEEP = ["--checkpoint-every", "3"]


def undisturbed(log):
    text = train(log, "whole", *LONG)
    return sha(text), learned("whole"), estimates("whole/estimates.json")


def check_same_end(wanted, text, run):
    check_equal(wanted[0], sha(text), "sha256 of an undisturbed and of this run")
    check_equal(wanted[1], learned(run), "lines of metrics.jsonl")
    check_equal(wanted[2], estimates(f"{run}/estimates.json"), "estimates")


def moments(lines):
    """Checkpoint step in the middle of each phase: steps count on from fit to fit."""
    result, before, last = {}, 0, None
    for line in lines:
        if last is not None and line["fit"] != last["fit"]:
            before += last["step"]
        key = (line["fit"], line["phase"])
        result.setdefault(key, []).append(before + line["step"])
        last = line
    return {key: (steps[0] + steps[-1]) // 2 for key, steps in result.items()}


def latest_step(run):
    try:
        return int((Path(run) / "checkpoints/latest").read_text().strip().removeprefix("step-"))
    except (OSError, ValueError):
        return -1


def start_until(log, run, step, ranks, *options, quiet=True):
    """A running job whose checkpoint has come to `step`."""
    options = [option for option in options if quiet or option != "--quiet"]
    job = subprocess.Popen(command(ranks, arguments_of(log, run, options)),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    JOBS.append(job)
    deadline = time.monotonic() + 60
    while latest_step(run) < step:
        if job.poll() is not None or time.monotonic() > deadline:
            job.terminate()
            raise Failure(f"the job never came to step {step}:\n{job.communicate()[0]}")
        time.sleep(0.002)
    return job


def ranks_of(job):
    """Process ids of a launcher's alm processes."""
    found = []
    program = Path(ALM).resolve()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            same = parent == job.pid and (stat.parent / "exe").resolve() == program
        except OSError:
            continue
        if same:
            found.append(int(stat.parent.name))
    return sorted(found)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def case_killed_rank():
    log = sequence_log()
    wanted = undisturbed(log)
    middle = moments(wanted[1])
    print("middles", middle)
    plan = [(("main", "train"), 3, 2, -1), (("main", "second_stage"), 2, 3, 0),
            (("half0", "train"), 3, 0, 1), (("half1", "second_stage"), 2, 4, -1)]
    for key, ranks, ranks_after, victim in plan:
        run = "killed-" + "-".join(key)
        job = start_until(log, run, middle[key], ranks, *LONG, *KEEP)
        pids = ranks_of(job)
        check(len(pids) == ranks, f"found processes {pids} of {ranks} ranks")
        os.kill(pids[victim], signal.SIGKILL)
        start = time.monotonic()
        text = job.communicate(timeout=60)[0]
        seconds = time.monotonic() - start
        check(job.returncode not in (0, 75), f"the job ended with {job.returncode}:\n{text}")
        check(seconds <= 10, f"the job ended only after {seconds:.1f} s")
        check(text.strip(), "the job ended without a message")
        while any(alive(pid) for pid in pids):
            check(time.monotonic() < start + 10, f"of ranks {pids} some outlived the job")
            time.sleep(0.05)
        at = latest_step(run)
        text = train(log, run, *LONG, *KEEP, "--resume", ranks=ranks_after)
        check_same_end(wanted, text, run)
        print(f"{key}: killed at {at} of {ranks} ranks, ended after {seconds:.1f} s, resumed on "
              f"{ranks_after} to the same bits")


def case_killed_while_saving():
    """Without a launcher, killed at any moment, the checkpoint writer included, again and again."""
    log = sequence_log()
    wanted = undisturbed(log)
    draw = random.Random(3)
    kills = 0
    arguments = arguments_of(log, "run", [*LONG, "--checkpoint-every", "1", "--resume"])
    for _ in range(60):
        job = subprocess.Popen(command(0, arguments), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        try:
            text = job.communicate(timeout=(0.15 + 0.4 * draw.random()) * 1.06 ** kills)[0]
        except subprocess.TimeoutExpired:
            job.kill()
            job.communicate()
            kills += 1
            continue
        check(job.returncode == 0, f"exit code {job.returncode}:\n{text}")
        check_same_end(wanted, text, "run")
        print(f"killed {kills} times, then the same bits")
        check(kills > 3, "hardly ever killed")
        return
    raise Failure("never came to an end")


def case_folds():
    """Every fold's fit is in the checkpoint: same bits on any ranks, stopped anywhere between and
    within fits, and evaluate tells the same."""
    options = [*LONG, "--epochs", "3", "--folds", "3"]
    options = options[:options.index("--holdout")] + options[options.index("--holdout") + 2:]
    for log, extra in ((sequence_log(), []), (arm_log_again(), []),
                       ("tabular", ["--nuisance", "tabular"])):
        out = f"{log}-whole{len(extra)}"
        text = train(log, out, *options, *extra)
        wanted = sha(text), learned(out), estimates(f"{out}/estimates.json")
        for ranks in (2, 3):
            again = train(log, f"{out}-{ranks}", *options, *extra, ranks=ranks)
            check_same_end(wanted, again, f"{out}-{ranks}")
        for ranks, threads in ((0, 2), (3, 1)):
            alm(["evaluate", "--run", out, "--log", log, "--out", "again.json", "--quiet",
                 "--threads", threads], ranks)
            check_equal(wanted[2], estimates("again.json"), "estimates of evaluate")
        check_prediction_only(out, log, wanted[2])
        if extra:
            continue
        check({line["fit"] for line in wanted[1]} == {"fold0", "fold1", "fold2"}, "fits")
        text = run_in_turns(log, f"{out}-turns", options, 3)
        check_same_end(wanted, text, f"{out}-turns")


def case_bootstrap():
    """Replicates of --bootstrap-fits: the same bits on any ranks and threads, stopped anywhere,
    added to later; evaluate tells the same. The fits of the run itself do not notice them."""
    sequences = sequence_log()
    bare = train(sequences, "bare", *LONG)
    options = [*LONG, "--bootstrap-fits", "3"]
    for log, extra in ((sequences, []), (arm_log_again(), ["--nuisance", "tabular", "--tmle"])):
        out = f"{log}-whole"
        text = train(log, out, *options, *extra)
        wanted = sha(text), learned(out), estimates(f"{out}/estimates.json")
        check("percentile95" in json.dumps(wanted[2]["effects"]), "no errors of a bootstrap")
        for ranks, threads in ((2, 1), (3, 2), (4, 1)):
            again = train(log, f"{out}-{ranks}", *options, *extra, "--threads", threads, ranks=ranks)
            check_same_end(wanted, again, f"{out}-{ranks}")
        alm(["evaluate", "--run", out, "--log", log, "--out", "again.json", "--quiet"], 3)
        check_equal(wanted[2], estimates("again.json"), "estimates of evaluate")
        if extra:
            continue
        check(sha(text) == sha(bare) and wanted[1] == learned("bare"), "the run's own fits moved")
        text = train(log, "bare", *options, "--resume", ranks=2)
        check_same_end(wanted, text, "bare")
        for turn in range(1, 100):
            # Until a replicate fits into a turn on a slow machine.
            minutes = 0.002 * (1 + turn // 3)
            job = subprocess.run(command(0 if turn % 3 else 2, arguments_of(
                log, "turns", [*options, "--resume", "--max-minutes", minutes])),
                capture_output=True, text=True, timeout=60)
            if job.returncode == 0:
                break
            check(job.returncode == 75, f"exit code {job.returncode}:\n{job.stderr}")
        check(turn > 1, "never stopped")
        check_same_end(wanted, job.stdout, "turns")
        print(f"{log}: the same bits in {turn} turns")


def case_preempted():
    log = sequence_log()
    wanted = undisturbed(log)
    middle = moments(wanted[1])
    # Asked again and again, on changing numbers of ranks.
    for count, (name, key) in enumerate([("SIGUSR1", ("main", "train")),
                                         ("SIGUSR2", ("main", "second_stage")),
                                         ("SIGUSR1", ("half1", "train"))]):
        job = start_until(log, "run", middle[key], 2 + count, *LONG, *KEEP, "--resume",
                          quiet=False)
        job.send_signal(getattr(signal, name))
        start = time.monotonic()
        text = job.communicate(timeout=60)[0]
        seconds = time.monotonic() - start
        check(job.returncode == 75, f"{name}: exit code {job.returncode}, wanted 75:\n{text}")
        check("stopped early with a good checkpoint" in text, f"no word of the stop:\n{text}")
        print(f"{name} to {2 + count} ranks in {key}: 75 after {seconds:.1f} s, at step "
              f"{latest_step('run')}")
    check_same_end(wanted, train(log, "run", *LONG, *KEEP, "--resume", ranks=3), "run")
    # Without a launcher, no checkpoint but the one of the stop.
    job = start_until(log, "alone", 3, 0, *LONG, "--checkpoint-every", "3")
    job.send_signal(signal.SIGTERM)
    text = job.communicate(timeout=60)[0]
    check(job.returncode == 75, f"SIGTERM alone: exit code {job.returncode}:\n{text}")
    check_same_end(wanted, train(log, "alone", *LONG, "--resume"), "alone")


def run_in_turns(log, run, options, every):
    """A job that --max-minutes stops again and again, each `every`th turn on two ranks. The time is
    shortened until it is too short on a quick machine too. The output of the last turn."""
    for minutes in ("0.006", "0.002", "0.0007", "0.0002"):
        shutil.rmtree(run, ignore_errors=True)
        for turn in range(1, 200):
            job = subprocess.run(command(0 if turn % every else 2, arguments_of(
                log, run, [*options, "--resume", "--max-minutes", minutes])),
                capture_output=True, text=True, timeout=60)
            if job.returncode == 0:
                break
            check(job.returncode == 75, f"exit code {job.returncode}:\n{job.stderr}")
        check(job.returncode == 0, "never came to an end")
        if turn > 1:
            print(f"{log}: came to its end in {turn} turns")
            return job.stdout
    raise Failure("never stopped")


def case_max_minutes():
    log = sequence_log()
    wanted = undisturbed(log)
    check_same_end(wanted, run_in_turns(log, "run", LONG, 4), "run")


def case_damaged_checkpoint():
    log = sequence_log()
    wanted = undisturbed(log)

    def flip(directory):
        path = directory / "now.dense"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def cut(directory):
        path = directory / "manifest.json"
        path.write_text(path.read_text()[:100])

    def lose(directory):
        (directory / "first_moment").unlink()

    for damage in (flip, cut, lose):
        run = f"damaged-{damage.__name__}"
        job = start_until(log, run, 30, 2, *LONG, *KEEP)
        job.send_signal(signal.SIGUSR1)
        text = job.communicate(timeout=60)[0]
        check(job.returncode == 75, f"exit code {job.returncode}:\n{text}")
        newest = Path(run) / "checkpoints" / f"step-{latest_step(run)}"
        damage(newest)
        text = train(log, run, *LONG, *KEEP, "--resume", ranks=3)
        check(str(newest) in text and "passed over" in text, f"{newest} is not named:\n{text}")
        check_same_end(wanted, text, run)
        print(f"{damage.__name__}: {[l for l in text.splitlines() if 'passed over' in l]}")
        # The damaged step was written anew or pruned: evaluate finds nothing to complain of.
        text = alm(["evaluate", "--run", run, "--log", log, "--out", "again.json"])
    # Killed between the two renames of a step that is written again.
    job = start_until(log, "replaced", 30, 2, *LONG, *KEEP)
    job.send_signal(signal.SIGUSR1)
    text = job.communicate(timeout=60)[0]
    check(job.returncode == 75, f"exit code {job.returncode}:\n{text}")
    newest = Path("replaced/checkpoints") / f"step-{latest_step('replaced')}"
    newest.rename(str(newest) + ".old")
    text = train(log, "replaced", *LONG, *KEEP, "--resume", ranks=3)
    check_same_end(wanted, text, "replaced")


# ---- refused with one line -------------------------------------------------------------------

def refused(log, out, *options, ranks=0, says=()):
    text = train(log, out, *options, ranks=ranks, wanted=1)
    complaint(text, says)


def complaint(text, says):
    """Errors are said once and the ranks end in good order, however many met them."""
    lines = [line for line in text.splitlines() if line.startswith("error")]
    check(len(lines) == 1, f"not one line of complaint:\n{text}")
    check("MPI_ABORT" not in text, f"the ranks were aborted:\n{text}")
    for word in says:
        check(word in lines[0], f"'{word}' is not in: {lines[0]}")
    print(lines[0])


def case_too_many_ranks():
    log = sequence_log()
    refused(log, "run", *SMALL, "--batch", "16", "--epochs", "1", ranks=17,
            says=("17 ranks", "16 micro-blocks", "at most 16"))


def case_refused():
    log = sequence_log()
    alm(["synth", "--journeys", 6100, "--clusters", 20, "--seed", 2, "--out", "other", "--quiet"])
    train(log, "run", *SMALL, "--epochs", "1", ranks=2)
    refused(log, "run", *SMALL, "--epochs", "1", ranks=3, says=("run is not empty", "--resume"))
    for name, value, then in (("--epochs", "2", "1"), ("--seed", "2", "1"),
                              ("--batch", "auto", "256"), ("--learning-rate", "0.1", "0.003"),
                              ("--holdout", "0.5", "0.7"), ("--max-touches", "8", "64"),
                              ("--head-hidden", "16", "32"), ("--mediator-weight", "1", "0.1"),
                              ("--mediator", "proxy", "observed"),
                              ("--outcome-head", "general", "separable"),
                              ("--deterministic", None, "false")):
        changed = [name] if value is None else [name, value]
        refused(log, "run", *SMALL, "--epochs", "1", "--resume", *changed, ranks=2,
                says=(name + " ", then, "run"))
    refused(log, "run", *SMALL, "--epochs", "1", "--resume", "--model", "reference",
            says=("--cat-width was 8, as --model tiny has it,", "16 now"))
    refused("other", "run", *SMALL, "--epochs", "1", "--resume", ranks=2, says=("another log",))
    # What does not matter may change; a finished run is finished again, alike.
    before = estimates("run/estimates.json")
    train(log, "run", *SMALL, "--epochs", "1", "--resume", "--threads", "2", "--report-every", "7",
          "--checkpoint-every", "9")
    check_equal(before, estimates("run/estimates.json"), "estimates of a finished run")
    refused(log, "targeted", *SMALL, "--tmle", ranks=2, says=("--tmle", "arm log"))
    refused(log, "both", *SMALL, "--outcome-head", "general", "--mediator", "proxy",
            says=("--outcome-head general", "--mediator proxy"))
    refused(arm_log(), "arms", *SMALL, "--outcome-head", "general", ranks=2,
            says=("--outcome-head", "arm log"))
    refused(log, "once", *SMALL, "--bootstrap-fits", "1", says=("--bootstrap-fits 1",))
    # Nothing there: --resume starts.
    train(log, "fresh", *SMALL, "--epochs", "1", "--resume")
    # No file of a log or of the run is replaced by results.
    part = sorted(Path(log).glob("*.h5"))[0]
    kept = part.read_bytes()
    for out, says in ((part, "HDF5 file"), (f"nowhere/../{part}", "HDF5 file"),
                      ("run/estimates.json", "a file of the run")):
        complaint(alm(["evaluate", "--run", "run", "--log", log, "--out", out], 2, wanted=1),
                  (str(out), says))
    complaint(alm(["bench", "loader", "--log", log, "--json", part], 2, wanted=1), ("--json", "HDF5"))
    check(part.read_bytes() == kept, "the log was replaced")
    check_equal(before, estimates("run/estimates.json"), "estimates of a finished run")


def case_init():
    log = sequence_log()
    options = SMALL + ["--deterministic", "--report-every", "1", "--warmup-steps", "0"]
    train(log, "first", *options, "--epochs", "8")
    first = [line for line in learned("first") if line["fit"] == "main"]
    shas = {sha(train(log, f"warm-{ranks}", *options, "--init", "first", ranks=ranks))
            for ranks in (0, 2)}
    check(len(shas) == 1, f"warm starts differ: {shas}")
    warm = learned("warm-0")
    check(warm[0]["losses"]["mediator"] < first[0]["losses"]["mediator"] * 0.99,
          f"warm start is no better than a fresh one: {warm[0]} {first[0]}")
    # Preempted warm starts go on from their checkpoint, even without the first run.
    job = start_until(log, "stopped", 3, 2, *options, "--init", "first", "--checkpoint-every", "3")
    job.send_signal(signal.SIGUSR1)
    text = job.communicate(timeout=60)[0]
    check(job.returncode == 75, f"exit code {job.returncode}:\n{text}")
    Path("first").rename("moved")
    text = train(log, "stopped", *options, "--init", "first", "--resume", ranks=2)
    check(sha(text) in shas, "a resumed warm start ends elsewhere")
    refused(log, "wide", *options, "--init", "moved", "--head-hidden", "16", ranks=2,
            says=("--init", "--head-hidden was", "is 16 here"))
    refused(log, "general", *options, "--init", "moved", "--outcome-head", "general",
            says=("--init", "--outcome-head was", "general"))
    alm(["synth", "--journeys", 6100, "--clusters", 21, "--out", "other", "--quiet"])
    refused("other", "k", *options, "--init", "moved", says=("clusters", "21", "20"))
    Path("empty").mkdir()
    refused(log, "none", *options, "--init", "empty", says=("--init empty", "no checkpoint"))


def case_overflow():
    """Finite inputs whose losses are not: updates are skipped, then one line names the tensor."""
    draw = random.Random(1)
    rows = []
    for journey in range(3000):
        x = 3.3e38 if draw.random() < 0.1 else -3.3e38
        rows.append([journey, 1_700_000_000_000, draw.choice("abcd"), int(draw.random() < 0.4),
                     int(draw.random() < 0.3), x])
    log = imported_log("extreme", rows, ["u", "t", "k", "m", "y", "x"],
                       "[file]\nform = journey\nreference_arm = a\n[columns]\nuser = u\ntime = t\ncluster = k\n"
                       "mediator = m\noutcome = y\ndense = x\n")
    for extra in ([], ["--deterministic"]):
        for ranks in (0, 3):
            refused(log, f"run{len(extra)}-{ranks}", *SMALL, *extra, ranks=ranks,
                    says=("10 updates in a row", "not finite", "tensor context/dense/weight"))


def case_unfinished_run():
    """evaluate needs the estimates' parts: a run that stopped before says so."""
    log = sequence_log()
    job = start_until(log, "run", 3, 0, *LONG, "--checkpoint-every", "3")
    job.send_signal(signal.SIGUSR1)
    text = job.communicate(timeout=60)[0]
    check(job.returncode == 75, f"exit code {job.returncode}:\n{text}")
    text = alm(["evaluate", "--run", "run", "--log", log, "--out", "x.json", "--quiet"], 2,
               wanted=1)
    check("stopped before its estimates" in text and "--resume" in text, text)


def case_said_once():
    log = sequence_log()
    train(log, "run", *SMALL, "--epochs", "1")
    Path("folder").mkdir()
    common = ["--run", "run", "--log", log, "--quiet"]
    for ranks in (0, 3):
        for arguments, says in (
                (["inspect", "--log", "gone"], ("gone",)),
                (["train", "--log", "gone", "--out", "x"], ("gone",)),
                (["train", "--log", log, "--out", "x", "--epoch", "1"], ("did you mean --epochs",)),
                (["train", "--log", log, "-out", "x"], ("did you mean --out",)),
                (["train", "--log", log, "--out", "x", "--seed", "-1"], ("0 to 1e15",)),
                (["train", "--log", log, "--out", "x", "--report-every", "1e10"],
                 ("1 to 1,000,000,000",)),
                (["train", "--log", log, "--out", f"{sorted(Path(log).glob('*.h5'))[0]}/x"], ("directory",)),
                (["evaluate", "--log", log, "--run", "gone", "--out", "x.json"],
                 ("--run gone", "no such directory")),
                (["evaluate", *common, "--out", "folder"], ("--out folder", "is a directory")),
                (["evaluate", *common, "--out", "run/config.json/x"], ("--out run/config.json/x",)),
                (["evaluate", *common, "--out", "x.json", "--device", "cuda"],
                 ("--device cuda (command line)", "on CPUs", "leave --device out")),
                (["attribute", *common, "--out", "folder.csv/"], (".csv",))):
            complaint(alm(arguments, ranks, wanted=1), says)
    Path("dir.csv").mkdir()
    complaint(alm(["attribute", *common, "--out", "dir.csv"], 3, wanted=1), ("is a directory",))
    for arguments in (["help", "train"], ["train", "-h"]):
        check("--epochs" in alm(arguments), f"{arguments} is no help")
    check("evaluate" in alm(["help"]), "alm help is no help")


def case_one_rank_fails():
    """What only one rank meets, in its share of the log, all ranks end with."""
    log = sequence_log()
    train(log, "run", *SMALL, "--epochs", "1")
    last = sorted(Path(log).glob("*.h5"))[-1]
    content = bytearray(last.read_bytes())
    for at in range(len(content) // 4, len(content) // 2, 64):
        content[at] ^= 1
    # Under its old date, so that the index beside it still holds and only reading the rows fails.
    before = last.stat()
    last.write_bytes(content)
    os.utime(last, ns=(before.st_atime_ns, before.st_mtime_ns))
    start = time.monotonic()
    refused(log, "bad", *SMALL, ranks=3, says=("rank 2 of 3", last.name))
    check(time.monotonic() - start < 20, "the ranks took long to agree")
    complaint(alm(["evaluate", "--run", "run", "--log", log, "--out", "x.json"], 3, wanted=1),
              (last.name,))


def case_failed_start():
    """Known before training, and the same --out may be used again."""
    log = sequence_log()
    refused(log, "run", *SMALL, "--holdout", "1e-9", says=("--holdout",))
    check(not list(Path("run").iterdir()), "a failed start left something")
    refused(log, "run", *SMALL, "--batch", "16", ranks=17, says=("micro-blocks",))
    train(log, "run", *SMALL, "--epochs", "1")
    Path("mine").mkdir()
    Path("mine/config.json").write_text("{}")
    refused(log, "mine", *SMALL, says=("not empty",))
    # One class among the training users.
    rows = [[f"u{i}", 1_700_000_000_000, "ab"[i % 2], i % 3 == 0, 0] for i in range(3000)]
    one = imported_log("one", [[int(v) if isinstance(v, bool) else v for v in row]
                               for row in rows], ["u", "t", "k", "m", "y"],
                       "[file]\nform = journey\nreference_arm = a\n[columns]\nuser = u\n"
                       "time = t\ncluster = k\nmediator = m\noutcome = y\n")
    refused(one, "one-run", *SMALL, says=("/journey/outcome is 0",))
    check(not list(Path("one-run").iterdir()), "a failed start left something")


def wait_for(condition, job, what):
    deadline = time.monotonic() + 60
    while not condition():
        if job.poll() is not None or time.monotonic() > deadline:
            job.terminate()
            raise Failure(f"never came to {what}:\n{job.communicate()[0]}")
        time.sleep(0.001)


def takes_signals(pid):
    """Whether a process has its handler of USR1 in place."""
    try:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return False
    return bool(int(caught.group(1), 16) >> (signal.SIGUSR1 - 1) & 1)


def in_background(ranks, arguments):
    job = subprocess.Popen(command(ranks, arguments), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    JOBS.append(job)
    return job


def scoring(run):
    """Whether the fits of a run are done and its estimates are under way."""
    try:
        header = json.loads(
            next(Path(run).glob("checkpoints/step-*[0-9]/header.json")).read_text())
        return header["complete"]
    except (StopIteration, OSError, ValueError):
        return False


def longer_log():
    alm(["synth", "--journeys", 60000, "--clusters", 20, "--rows-per-file", 5000, "--out",
         "longer", "--quiet"])
    loud = [option for option in SMALL if option != "--quiet"]
    return "longer", loud + ["--batch", "2048", "--epochs", "1", "--refit-epochs", "0"]


def ready(job, ranks):
    """The ranks of a job, once all of them take signals."""
    pids = []

    def all_ready():
        pids[:] = ranks_of(job) if ranks else [job.pid]
        return len(pids) == max(ranks, 1) and all(map(takes_signals, pids))

    wait_for(all_ready, job, "its first pass")
    return pids


def case_stopped_anywhere():
    log, options = longer_log()
    for ranks in (0, 3):
        # In the first pass.
        run = f"run-{ranks}"
        job = in_background(ranks, arguments_of(log, run, options))
        ready(job, ranks)
        job.send_signal(signal.SIGUSR1)
        text = job.communicate(timeout=60)[0]
        check(job.returncode == 75, f"exit code {job.returncode}:\n{text}")
        check("before there was a checkpoint" in text, text)
        # While scoring; the same command line without --resume had started anew before.
        job = in_background(ranks, arguments_of(log, run, options))
        wait_for(lambda: scoring(run), job, "its estimates")
        job.send_signal(signal.SIGUSR2)
        text = job.communicate(timeout=60)[0]
        check(job.returncode == 75, f"exit code {job.returncode}:\n{text}")
        check("good checkpoint (scoring)" in text, text)
        check(not Path(run, "estimates.json").exists(), "estimates of a stopped run")
        train(log, run, *options, "--resume", ranks=ranks)
        for name, out in (("evaluate", "out.json"), ("attribute", "out.csv"),
                          ("attribute", "out.h5")):
            Path("outputs").mkdir(exist_ok=True)
            job = in_background(ranks, [name, "--run", run, "--log", log, "--out",
                                        f"outputs/{out}"])
            ready(job, ranks)
            job.send_signal(signal.SIGUSR1)
            text = job.communicate(timeout=60)[0]
            check(job.returncode == 75, f"{name}: exit code {job.returncode}:\n{text}")
            check("nothing was written" in text, text)
            check(not list(Path("outputs").iterdir()), "a stopped command left something")


def case_killed_outside_training():
    log, options = longer_log()
    for moment in ("start", "estimates"):
        job = in_background(3, arguments_of(log, moment, options))
        if moment == "start":
            pids = ready(job, 3)
        else:
            wait_for(lambda: scoring("estimates"), job, "its estimates")
            pids = ranks_of(job)
        check(len(pids) == 3, f"found {pids}")
        os.kill(pids[1], signal.SIGKILL)
        start = time.monotonic()
        text = job.communicate(timeout=60)[0]
        seconds = time.monotonic() - start
        check(job.returncode not in (0, 75), f"the job ended with {job.returncode}:\n{text}")
        check(not Path(moment, "estimates.json").exists(), f"killed too late:\n{text}")
        while any(alive(pid) for pid in pids):
            check(time.monotonic() < start + 10, f"of ranks {pids} some outlived the job")
            time.sleep(0.05)
        check(seconds <= 10, f"the job ended only after {seconds:.1f} s")
        print(f"killed in {moment}: ended after {seconds:.1f} s")
        train(log, moment, *options, "--resume", ranks=2)


def case_damaged_run():
    """evaluate names the damage, and says why there are no numbers; --resume mends the run."""
    log = sequence_log()
    options = SMALL + ["--epochs", "1", "--checkpoint-every", "3"]
    train(log, "run", *options)
    wanted = estimates("run/estimates.json")
    step = Path("run/checkpoints") / f"step-{latest_step('run')}"
    blob = step / "backdoor"
    content = bytearray(blob.read_bytes())
    content[0] ^= 1
    blob.write_bytes(content)
    for ranks in (0, 2):
        text = alm(["evaluate", "--run", "run", "--log", log, "--out", "x.json"], ranks, wanted=1)
        complaint(text, ("newest checkpoint is damaged", "fit half1", "--resume"))
        check(f"{blob}: damaged" in text, text)
    train(log, "run", *options, "--resume")
    alm(["evaluate", "--run", "run", "--log", log, "--out", "x.json"])
    check_equal(wanted, estimates("x.json"), "estimates before and after the damage")


def case_extreme_values():
    """Finite values that exact sums do not hold: an error that names the column."""
    def weighted(name, weight, outcome):
        draw = random.Random(3)
        rows = [[i, 1_700_000_000_000, draw.choice("abc"), int(draw.random() < 0.4),
                 f"{outcome * draw.random():g}", f"{weight:g}"] for i in range(3000)]
        return imported_log(name, rows, ["u", "t", "k", "m", "y", "w"],
                            "[file]\nform = journey\nreference_arm = a\n"
                            "outcome_kind = continuous\n[columns]\nuser = u\ntime = t\n"
                            "cluster = k\nmediator = m\noutcome = y\nweight = w\n")
    options = SMALL + ["--epochs", "1"]
    plain = weighted("plain", 1, 1)
    train(plain, "run", *options)
    large = weighted("large", 1e3, 9e7)
    for ranks in (0, 2):
        refused(large, f"large-run-{ranks}", *options, ranks=ranks,
                says=("/journey/outcome", "divide"))
    for name, out in (("evaluate", "x.json"), ("attribute", "x.csv")):
        complaint(alm([name, "--run", "run", "--log", large, "--out", out], wanted=1),
                  ("/journey/outcome", "divide"))
    # Large, but within the sums.
    alm(["evaluate", "--run", "run", "--log", weighted("some", 1e4, 1e4), "--out", "x.json"])


def case_told_truly():
    """The rate in metrics.jsonl is the one that was used; --simd binds a deterministic run; what
    tabular learned has a digest."""
    log = sequence_log()
    options = [*SMALL, "--epochs", "1", "--report-every", "1", "--warmup-steps", "0",
               "--deterministic"]
    train(log, "run", *options, "--simd", "scalar")
    for phase in ("train", "second_stage"):
        rates = [line["lr"] for line in learned("run")
                 if line["fit"] == "main" and line["phase"] == phase]
        peak = {"train": 0.003, "second_stage": 0.002}[phase]
        check(rates[0] == peak, f"the first step of {phase} used {peak}, told {rates[0]}")
        check(rates[-1] > 0, f"the last step of {phase} used a rate above 0: {rates}")
    if "avx2" in Path("/proc/cpuinfo").read_text():
        refused(log, "run", *options, "--simd", "avx2", "--resume",
                says=("--simd", "scalar", "avx2"))
    train(log, "run", *options, "--simd", "scalar", "--resume")
    arms = arm_log_again()
    shas = {sha(train(arms, f"arms-{ranks}", "--nuisance", "tabular", ranks=ranks))
            for ranks in (0, 3)}
    check(len(shas) == 1, f"digests of tabular counts differ: {shas}")
    alm(["synth", "--journeys", 900, "--out", "short", "--quiet"])
    text = train("short", "short-run", "--model", "tiny", "--epochs", "1", ranks=3)
    check("0 of 0" not in text, f"progress over nothing:\n{text}")
    text = train("short", "plain", "--model", "tiny", "--epochs", "1", "--quiet", "--device", "cpu",
                 "--no-graph")
    check(text.count("--no-graph changes nothing: training on the CPU") == 1, f"--no-graph:\n{text}")


def main():
    case = globals().get("case_" + CASE)
    check(case, f"no case '{CASE}'")
    if not MPIEXEC:
        print("skipped: no mpiexec")
        return 77
    with tempfile.TemporaryDirectory(prefix="alm-ranks-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            case()
        except Failure as failure:
            print(f"{CASE}: {failure}", file=sys.stderr)
            return 1
        finally:
            for job in JOBS:
                if job.poll() is None:
                    job.terminate()
                    job.wait()
            os.chdir("/")
    return 0


sys.exit(main())
