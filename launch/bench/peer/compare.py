#!/usr/bin/env python3
"""Training steps of alm and of PyTorch on the same journeys, in turn; medians and ratios.

usage: compare.py --alm build/alm --work DIR [--torch VENV] [--ranks N] [--batches 8192 1024] [--rounds 5]
                  [--steps 6] [--variants NAME ...] [--json FILE]

DIR takes the log (alm synth, the rows that alm bench train draws for itself) and, unless --torch names one,
a virtual environment with PyTorch, numpy and h5py, made once. The peer is one process a rank of one thread;
it stays loaded and idle while alm runs. tests/golden/make_reference_model_golden.py --check is run first:
both engines compute the stored losses and gradients (alm's side is a test).

Ratios are of processor time, which holds on a busy machine, and of wall time, which holds on an idle one.
The peer gets a tuned allocator: jemalloc or tcmalloc where the loader finds one, else glibc without mmap and
trimming, so that tensors are not given back to the system. OPENBLAS_CORETYPE, which some systems preset, says
nothing to PyTorch's MKL and oneDNN, nor to alm's oneDNN; both choose by the processor.
"""
import argparse
import ctypes.util
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parents[2] / "tests/golden/make_reference_model_golden.py"
BATCHES = 4
GLIBC = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296"


def python_of(options):
    folder = pathlib.Path(options.torch or pathlib.Path(options.work) / "torch")
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "torch>=2", "numpy", "h5py"], check=True)
    return str(python)


def peer_environment():
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    library = ctypes.util.find_library("jemalloc") or ctypes.util.find_library("tcmalloc")
    if library:
        environment["LD_PRELOAD"] = library
    else:
        environment["GLIBC_TUNABLES"] = GLIBC
    return environment, library or "glibc, no mmap, no trimming"


class Peer:
    """The ranks of the peer, loaded and warm; measure() is one round."""

    def __init__(self, python, log, batch, options):
        environment, _ = peer_environment()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment |= {"WORLD_SIZE": str(options.ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [python, str(HERE / "train.py"), "--log", str(log), "--batch", str(batch), "--threads", "1"]
        command += ["--steps", str(options.steps), "--variants", *options.variants]
        self.ranks = [
            subprocess.Popen(
                command, env=environment | {"RANK": str(rank)}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for rank in range(options.ranks)
        ]
        self.version = self.answers()[0]["ready"]

    def answers(self):
        lines = [rank.stdout.readline() for rank in self.ranks]
        if not all(lines):
            raise SystemExit("a process of the peer ended; its message is above")
        return [json.loads(line) for line in lines]

    def measure(self):
        """{variant: {"wall", "processor"}}: seconds of a step, processor time over all ranks."""
        for rank in self.ranks:
            rank.stdin.write("measure\n")
            rank.stdin.flush()
        found = self.answers()
        return {
            variant: {
                "wall": max(of[variant]["wall"] for of in found),
                "processor": sum(of[variant]["processor"] for of in found),
            }
            for variant in found[0]
        }

    def close(self):
        for rank in self.ranks:
            rank.stdin.close()
        for rank in self.ranks:
            rank.wait()


def alm_step(options, batch, *further):
    out = pathlib.Path(options.work) / "step.json"
    launcher = ["mpirun", "-n", str(options.ranks)] if options.ranks > 1 else []
    command = [*launcher, options.alm, "bench", "train", "--model", "reference", "--threads", "1", "--batch", str(batch)]
    command += ["--steps", str(options.steps), "--json", str(out)] + [*further]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = json.loads(out.read_text().splitlines()[0])
    return {"wall": found["step_ms_median"] / 1e3, "processor": found["step_processor_ms_median"] / 1e3}


def report(batch, rounds, options, lines):
    print(f"\nbatch {batch:,}, {options.ranks} x 1 thread, {len(rounds)} rounds in turn; alm over the peer, median (least, most):\n")
    print("| step of | wall, ms | processor, ms | journeys a processor second | alm by processor time | by wall time |")
    print("|---|---|---|---|---|---|")
    for name in rounds[0]:
        middle = {of: statistics.median(found[name][of] for found in rounds) for of in ("wall", "processor")}
        ratios = {of: sorted(found[name][of] / found["alm"][of] for found in rounds) for of in middle}
        shown = [f"{statistics.median(of):.2f} ({of[0]:.2f}, {of[-1]:.2f})" for of in (ratios["processor"], ratios["wall"])]
        print(
            f"| {name} | {1e3 * middle['wall']:.1f} | {1e3 * middle['processor']:.1f} "
            f"| {batch / middle['processor']:,.0f} | {shown[0]} | {shown[1]} |"
        )
        lines.append({"batch": batch, "ranks": options.ranks, "name": name, **middle, "ratios": ratios})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alm", default="build/alm")
    parser.add_argument("--work", required=True)
    parser.add_argument("--torch", help="virtual environment with torch, numpy and h5py")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--batches", type=int, nargs="+", default=[8192, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--variants", nargs="+", default=["eager packed", "eager padded", "compiled packed", "compiled padded"])
    parser.add_argument("--bf16", action="store_true", help="alm with its products in bf16, too")
    parser.add_argument("--json")
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    python = python_of(options)
    subprocess.run([python, str(GOLDEN), "--check"], check=True)
    journeys = BATCHES * max(options.batches)
    log = work / f"log-{journeys}"
    if not any(log.glob("*.h5")):
        shutil.rmtree(log, ignore_errors=True)
        subprocess.run([options.alm, "synth", "--shape", "reference", "--journeys", str(journeys), "--out", str(log)], check=True)
    lines = []
    forms = [[], ["--deterministic"]] + ([["--precision", "bf16"]] if options.bf16 else [])
    for batch in options.batches:
        peer = Peer(python, log, batch, options)
        print(f"PyTorch {peer.version}, allocator: {peer_environment()[1]}", flush=True)
        rounds = []
        for _ in range(options.rounds):
            found = {" ".join(["alm", *of]): alm_step(options, batch, *of) for of in forms}
            rounds.append(found | peer.measure())
        peer.close()
        report(batch, rounds, options, lines)
    if options.json:
        pathlib.Path(options.json).write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
