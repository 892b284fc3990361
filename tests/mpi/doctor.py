#!/usr/bin/env python3
"""usage: doctor.py ALM MPIEXEC

alm doctor: nothing to say of a sound job, one line with advice for each thing that is wrong, and an end by
its deadline when a rank does not come.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ALM, MPIEXEC = os.path.abspath(sys.argv[1]), sys.argv[2]
MPIRUN = [MPIEXEC, "--oversubscribe", "--bind-to", "none"]


def check(holds, message):
    if not holds:
        sys.exit(f"FAILED: {message}")


def doctor(*options, ranks=0, wanted=0, threads=1):
    launcher = [*MPIRUN, "-n", str(ranks)] if ranks else []
    return finish([*launcher, ALM, "doctor", "--threads", str(threads), *options], wanted)


def finish(words, wanted):
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    text = done.stdout + done.stderr
    check(done.returncode == wanted, f"exit code {done.returncode}, wanted {wanted}: {words}\n{text}")
    return text


def line_of(text, stage):
    """The mark of a stage and what follows its name."""
    found = [line for line in text.splitlines() if line[6:].startswith(f"{stage} ")]
    check(found, f"no stage '{stage}':\n{text}")
    return found[0][:4].strip(), found[0]


def ranks_of(launcher):
    """Process id by rank."""
    found = {}
    for exe in Path("/proc").glob("[0-9]*/exe"):
        try:
            parent = int((exe.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent != launcher.pid or str(exe.resolve()) != str(Path(ALM).resolve()):
                continue
            for variable in (exe.parent / "environ").read_bytes().split(b"\0"):
                if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(variable.split(b"=")[1])] = int(exe.parent.name)
        except OSError:
            continue
    return found


def sound_jobs():
    for ranks in (0, 1, 2, 3):
        text = doctor("--log", "log", "--out", "runs/one", ranks=ranks)
        for stage in ("ping", "versions", "machine", "gpu", "bandwidth", "speed", "out", "log"):
            mark = line_of(text, stage)[0]
            # Shared and idle cores of this machine may be warned of, rightly.
            check(mark in (("ok", "warn") if stage in ("ping", "machine", "bandwidth", "speed")
                           else ("ok",)), f"stage {stage} on {ranks} ranks:\n{text}")
        for what in ("communicator", "HDF5", "CUDA driver"):
            check(f"ok    versions   {what} " in text, f"no version of {what}:\n{text}")
        check("3,000 journeys" in line_of(text, "log")[1], text)
    check(not Path("runs").exists() and not list(Path(".").glob(".alm-doctor*")), "files are left")
    check(line_of(doctor(), "out") == ("-", "-     out        not looked at: give --out"), "no --out")


def what_is_wrong():
    text = doctor("--log", "nowhere", ranks=2, wanted=1)
    mark, line = line_of(text, "log")
    check(mark == "FAIL" and "nowhere" in line and "not fit to run" in text, text)
    Path("file").write_text("no folder")
    mark, line = line_of(doctor("--out", "file/run", wanted=1), "out")
    check(mark == "FAIL" and "cannot write in" in line and "name an --out" in line, line)
    text = finish([*MPIRUN, "-n", "1", ALM, "doctor", "--threads", "1", "--log", "log", ":",
                   "-n", "1", ALM, "doctor", "--threads", "1", "--log", "other"], 1)
    mark, line = line_of(text, "log")
    check(mark == "FAIL" and "rank 1 on" in line and "other files" in line, text)
    # Libraries of GPUs are loaded by those who want them: one that is broken for rank 1 alone is told.
    Path("libraries").mkdir()
    Path("libraries/libnccl.so.2").touch()
    text = finish([*MPIRUN, "-n", "1", ALM, "doctor", "--threads", "1", ":",
                   "-n", "1", "env", "LD_LIBRARY_PATH=libraries", ALM, "doctor", "--threads", "1"], 0)
    if "NCCL           built with" in text:
        lines = [line for line in text.splitlines() if line.startswith("warn  versions")]
        check(len(lines) == 1 and "rank 1 on" in lines[0] and " has NCCL " in lines[0]
              and "give all hosts the same" in lines[0], text)
    mark, line = line_of(doctor(threads=64), "machine")
    check(mark == "warn" and "more threads than cores" in line, line)


def a_rank_that_stops():
    job = subprocess.Popen([*MPIRUN, "-n", "3", ALM, "doctor", "--threads", "1", "--deadline", "2"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    started = time.monotonic()
    first = job.stdout.readline()
    pids = ranks_of(job)
    os.kill(pids[1], signal.SIGSTOP)
    text = first + job.communicate(timeout=60)[0]
    check(job.returncode not in (0, 1), f"exit code {job.returncode}:\n{text}")
    check(time.monotonic() - started < 30, "the deadline was not kept")
    for rank in (0, 2):
        check(f"rank {rank} of 3 has not ended stage" in text, f"rank {rank} did not speak:\n{text}")
    check("rank 1 of 3 has not" not in text, text)


def main():
    with tempfile.TemporaryDirectory(prefix="alm-doctor-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        for name, seed in (("log", 1), ("other", 2)):
            finish([ALM, "synth", "--journeys", "3000", "--clusters", "5", "--seed", str(seed), "--out",
                    name, "--quiet"], 0)
        sound_jobs()
        what_is_wrong()
        a_rank_that_stops()
        os.chdir("/")


main()
