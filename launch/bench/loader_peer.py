#!/usr/bin/env python3
"""usage: loader_peer.py --log FILE_OR_DIR [--alm build/alm] [--threads 2] [--rounds 3] [--json FILE]

The loader of alm beside a PyTorch DataLoader over h5py on the same log (Debian: python3-torch
python3-h5py). The peer's data set is made of whole blocks: an item is a run of block_rows journeys,
every column that training reads read by one h5py slice a column, given as tensors; workers are
processes. Without PyTorch the blocks are read in this process and stay numpy arrays, which leaves out
the collating and passing on that PyTorch does: a bound in its favour, and the output says so.
alm bench loader and the peer take turns; the ratio is of their medians.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import h5py
import numpy

try:
    import torch
except ImportError:
    torch = None

JOURNEY = ["user", "time", "outcome", "weight", "dense", "cat"]
TOUCH = ["cluster", "item", "time", "dense", "cat", "mediator"]
CHUNK_CACHE_BYTES = 64 << 20  # as much as alm has; h5py's default decodes shared chunks again
# Unsigned types that this PyTorch may not know are handed over as signed ones of the same bits.
SIGNED = {"uint64": "int64", "uint32": "int32", "uint16": "int16"}


class Blocks:
    """Item b: block b of the log, as a dict of arrays or tensors."""

    def __init__(self, paths, as_tensors):
        self.paths = paths
        self.as_tensors = as_tensors
        self.open = {}
        self.blocks = []
        for path in paths:
            with h5py.File(path, "r") as file:
                rows, step = file["/journey/user"].shape[0], int(file.attrs["block_rows"])
                self.blocks += [(path, first, min(first + step, rows)) for first in range(0, rows, step)]

    def __len__(self):
        return len(self.blocks)

    def __getitem__(self, number):
        path, first, last = self.blocks[number]
        if path not in self.open:
            self.open[path] = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
        file = self.open[path]
        offsets = file["/journey/touch_begin"][first : last + 1]
        begin, end = int(offsets[0]), int(offsets[-1])
        out = {"touch_begin": offsets - offsets[0]}
        for group, names, rows in (("journey", JOURNEY, slice(first, last)), ("touch", TOUCH, slice(begin, end))):
            for name in names:
                if name in file[group]:
                    out[f"{group}/{name}"] = file[group][name][rows]
        if not self.as_tensors:
            return out
        return {key: torch.from_numpy(value.view(SIGNED.get(str(value.dtype), value.dtype))) for key, value in out.items()}


def first(items):
    return items[0]


def peer_pass(paths, workers, shuffle):
    """Journeys a second of one pass, opening included as in alm's."""
    start = time.perf_counter()
    blocks = Blocks(paths, torch is not None)
    if torch is None:
        order = numpy.random.permutation(len(blocks)) if shuffle else range(len(blocks))
        source = (blocks[int(number)] for number in order)
    else:
        source = torch.utils.data.DataLoader(
            blocks, batch_size=1, shuffle=shuffle, num_workers=workers, collate_fn=first
        )
    journeys = sum(block["touch_begin"].shape[0] - 1 for block in source)
    return journeys / (time.perf_counter() - start)


def alm_pass(alm, log, threads):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "loader.json"
        command = [alm, "bench", "loader", "--log", log, "--threads", str(threads), "--seconds", "1", "--json", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["stream"]: line["journeys_per_s"] for line in lines if line["page_cache"] == "warm"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True)
    parser.add_argument("--alm", default="build/alm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    log = pathlib.Path(options.log)
    paths = sorted(str(path) for path in log.glob("*.h5")) if log.is_dir() else [str(log)]
    name = f"PyTorch {torch.__version__} DataLoader" if torch else "h5py and numpy alone (no PyTorch here: a bound in its favour)"
    workers = [0, options.threads] if torch else [0]

    rates = {}
    for round_number in range(options.rounds):
        for stream, rate in alm_pass(options.alm, options.log, options.threads).items():
            rates.setdefault(("alm", stream), []).append(rate)
        for count in workers:
            for shuffle in (False, True):
                rate = peer_pass(paths, count, shuffle)
                rates.setdefault((f"{name}, {count} workers", "shuffled blocks" if shuffle else "in order"), []).append(rate)
    print("| loader | order | journeys/s, median | lowest | highest |\n|---|---|---|---|---|")
    medians = {key: statistics.median(values) for key, values in rates.items()}
    for (loader, order), values in rates.items():
        print(f"| {loader} | {order} | {medians[loader, order]:,.0f} | {min(values):,.0f} | {max(values):,.0f} |")
    best = {shuffled: max(rate for (loader, order), rate in medians.items() if loader != "alm" and (order != "in order") == shuffled) for shuffled in (False, True)}
    in_order = medians["alm", "in order, batches of 256"] / best[False]
    training = medians["alm", "training order"] / best[True]
    print(f"\nalm over the best peer: in order {in_order:.1f} times, training order {training:.1f} times")
    if options.json:
        lines = [{"loader": loader, "order": order, "journeys_per_s": values} for (loader, order), values in rates.items()]
        lines.append({"ratio_in_order": in_order, "ratio_training_order": training})
        pathlib.Path(options.json).write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
