"""usage: mutated_logs.py ALM LOG_DIGEST [--cases N] [--first K] [--seed S] [--keep DIR] [--sanitized]

Damages small valid logs in N ways and gives each to `alm inspect` and to a short `alm train`. Handled
is: refused with exit code 1 and one line that names the file; or accepted with the same content and
the same parameters as the undamaged log. Where no checksum covers the damage (logs of strangers, or
metadata whose checksum was made anew) other numbers are accepted too, and a log of a stranger must be
warned of. Anything else - a signal, a hang, another exit code, other numbers without an error - fails,
and a line is printed that repeats the case. --sanitized: ALM is built with sanitizers.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py  # noqa: F401  (the modules below need it)
    import numpy  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import edits
from mutations import Draws, mutate_bytes
from seed_logs import make_seeds

CPU_SECONDS, WALL_SECONDS, MOST_MEMORY = 20, 240, 4 << 30
TRAIN = ("--model tiny --epochs 1 --refit-epochs 1 --batch 64 --holdout 0.3 --deterministic "
         "--threads 1 --quiet").split()
SAME, OTHER, REFUSED = "same", "other numbers", "refused"
UNREAD = "same, though inspect refuses a column that training leaves unread"


class Failure(Exception):
    pass


class Program:
    """The program under test, each run with limits of its own."""

    def __init__(self, alm, log_digest, sanitized):
        self.alm, self.log_digest, self.sanitized = alm, log_digest, sanitized
        self.environment = dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:exitcode=99",
                                ASAN_OPTIONS="exitcode=99:hard_rss_limit_mb=4096")

    def run(self, *command):
        limits = [f"--cpu={CPU_SECONDS * (5 if self.sanitized else 1)}", "--core=0"]
        if not self.sanitized:  # they map terabytes
            limits.append(f"--as={MOST_MEMORY}")
        try:
            done = subprocess.run(["prlimit", *limits, *command], capture_output=True,
                                  timeout=WALL_SECONDS, env=self.environment)
        except subprocess.TimeoutExpired:
            raise Failure(f"{command[1]}: no end within {WALL_SECONDS} s") from None
        said = done.stderr.decode(errors="replace")
        if done.returncode not in (0, 1):
            raise Failure(f"{os.path.basename(command[0])} {command[1]}: exit code "
                          f"{done.returncode}: {said[-2000:]}")
        return done.returncode, done.stdout.decode(errors="replace"), said


def refusal(path, said):
    """The one line of a refusal, which has to hold `path`."""
    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
    if len(lines) != 1 or not lines[0].startswith("error: ") or path not in lines[0]:
        raise Failure(f"not one line that names the file: {said[:2000]!r}")
    return lines[0]


def look(program, path, work):
    """What the program makes of a log: (REFUSED, line, ""), (OTHER, line of training, warnings) where
    only training refuses it, or (SAME or UNREAD, content and parameters, warnings); the content of an
    UNREAD one is None."""
    code, text, said = program.run(program.alm, "inspect", "--log", path, "--verify", "--json",
                                   "--quiet")
    seen_by_inspect = code == 0
    if code == 1 and path not in said + text:
        raise Failure(f"inspect does not name the file: {said[:2000]!r}")
    run_dir = os.path.join(work, "run")
    shutil.rmtree(run_dir, ignore_errors=True)
    code, text, said = program.run(program.alm, "train", "--log", path, "--out", run_dir, *TRAIN)
    if code == 1:
        if seen_by_inspect:  # a good log, but another: without the mediator, say, or of huge values
            return OTHER, refusal("", said), said
        return REFUSED, refusal(path, said), ""
    with open(os.path.join(run_dir, "estimates.json"), encoding="utf-8") as file:
        json.load(file, parse_constant=lambda word: (_ for _ in ()).throw(
            Failure(f"estimates.json holds {word}")))
    parameters = re.search(r"^parameters sha256 (\w+)$", text, re.MULTILINE)
    if not parameters:
        raise Failure(f"no parameters: {text[-500:]!r}")
    if not seen_by_inspect:
        return UNREAD, (None, parameters[1]), said
    code, digest, said_of_digest = program.run(program.log_digest, path)
    if code != 0:
        raise Failure(f"log_digest refuses what train accepted: {said_of_digest[:500]}")
    return SAME, (digest.strip(), parameters[1]), said


class Runner:
    def __init__(self, program, seed, folder, keep):
        self.program, self.seed, self.folder, self.keep = program, seed, folder, keep
        self.seeds = make_seeds(program.alm, os.path.join(folder, "seeds"))
        self.truth = {}
        for each in self.seeds:
            verdict, truth, _ = look(program, each.path, folder)
            if verdict != SAME:
                raise Failure(f"the valid log {each.name} is refused: {truth}")
            with open(each.path + ".index", "rb") as sidecar:
                self.truth[each.name] = truth, sidecar.read()

    def make(self, log, path, draws):
        """Writes mutant and, perhaps, sidecar; returns (what was done, verdicts that are right)."""
        noticed = {SAME, UNREAD, REFUSED}
        believed = noticed if log.checked else noticed | {OTHER}
        kind = draws.below(10)
        if kind < 2 and log.editable:
            with open(path, "wb") as file:
                file.write(log.bytes)
            what, outcome = edits.edit_file(path, draws)
            return what, {REFUSED, UNREAD} if outcome == edits.REFUSED else {SAME}
        data = bytearray(log.bytes)
        if kind == 2:  # a damaged sidecar beside a good log
            what, rights = "sidecar ", {SAME}
        else:
            what, telling = mutate_bytes(data, draws)
            rights = believed if telling else noticed | {OTHER}
        with open(path, "wb") as file:
            file.write(data)
        if kind in (2, 3):  # 3: the sidecar of the good log vouches for the damaged one
            sidecar = bytearray(self.truth[log.name][1])
            if kind == 2:
                what += mutate_bytes(sidecar, draws)[0]
            with open(path + ".index", "wb") as file:
                file.write(sidecar)
            modified = os.stat(log.path).st_mtime_ns
            os.utime(path, ns=(modified, modified))
        return what, rights

    def case(self, number):
        """(what was done, verdict, failure or None)"""
        draws = Draws(self.seed, number)
        log = self.seeds[number % len(self.seeds)]
        work = tempfile.mkdtemp(prefix=f"case{number}-", dir=self.folder)
        path = os.path.join(work, "log.h5")
        what = "?"
        try:
            what, rights = self.make(log, path, draws)
            verdict, found, said = look(self.program, path, work)
            content, parameters = self.truth[log.name][0]
            if verdict == SAME and found != (content, parameters) or (
                    verdict == UNREAD and found[1] != parameters):
                verdict = OTHER
            if verdict == OTHER and not log.checked and "damage" not in said:
                raise Failure("a log without checksums is read without a warning")
            if verdict not in rights:
                raise Failure(f"{verdict}, but right is {' or '.join(sorted(rights))}: {found}")
            return log.name, what, verdict, None
        except Failure as failure:
            if self.keep:
                shutil.copytree(work, os.path.join(self.keep, str(number)), dirs_exist_ok=True)
            return log.name, what, "FAILED", str(failure)
        finally:
            shutil.rmtree(work)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("alm")
    parser.add_argument("log_digest")
    for name, default in (("cases", 500), ("first", 0), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep")
    parser.add_argument("--sanitized", action="store_true")
    options = parser.parse_args()
    program = Program(options.alm, options.log_digest, options.sanitized)
    counts, failures = {}, 0
    with tempfile.TemporaryDirectory(prefix="alm_mutants_") as folder:
        runner = Runner(program, options.seed, folder, options.keep)
        cases = range(options.first, options.first + options.cases)
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for number, (name, what, verdict, failure) in zip(cases, pool.map(runner.case, cases)):
                counts[verdict] = counts.get(verdict, 0) + 1
                if failure:
                    failures += 1
                    print(f"FAILED: case {number}, {name}, {what}: {failure}\n  repeat: "
                          f"{sys.executable} {' '.join(sys.argv[:3])} --seed {options.seed} "
                          f"--first {number} --cases 1 --keep DIR", flush=True)
    print(f"{options.cases - failures} of {options.cases} mutated logs handled: " + ", ".join(
        f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
