#!/usr/bin/env python3
"""usage: loader_peer.py --log FILE_OR_DIR [--alm build/alm] [--threads 2] [--rounds 3] [--json FILE]

The loader of alm beside a PyTorch DataLoader over h5py on the same log (Debian: python3-torch
python3-h5py). The peer's data set is made of whole blocks: an item is a run of block_rows journeys,
every column that training reads read by one h5py slice a column, given as tensors; workers are
processes. It is measured as h5py comes (chunk cache of 1 MiB a data set, so that chunks which several
blocks share are decoded again for each) and with a cache of 64 MiB a data set. Without PyTorch the blocks are read in this process and stay numpy arrays, which leaves out
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
CHUNK_CACHES = {"as it comes": 1 << 20, "chunk cache of 64 MiB": 64 << 20}
# Unsigned types that this PyTorch may not know are handed over as signed ones of the same bits.
SIGNED = {"uint64": "int64", "uint32": "int32", "uint16": "int16"}


class Blocks:
    """Item b: block b of the log, as a dict of arrays or tensors."""

    def __init__(self, paths, as_tensors, cache_bytes):
        self.cache_bytes = cache_bytes
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
            self.open[path] = h5py.File(path, "r", rdcc_nbytes=self.cache_bytes)
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


def peer_pass(paths, workers, shuffle, cache_bytes):
    """Journeys a second of one pass, opening included as in alm's."""
    start = time.perf_counter()
    blocks = Blocks(paths, torch is not None, cache_bytes)
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
    return {line["stream"]: line["journeys_per_s"] for line in lines if line.get("page_cache") == "warm"}


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
        for cache, cache_bytes in CHUNK_CACHES.items():
            for count in workers:
                for shuffle, order in ((False, "in order"), (True, "shuffled blocks")):
                    rate = peer_pass(paths, count, shuffle, cache_bytes)
                    rates.setdefault((f"{name}, {cache}, {count} workers", order), []).append(rate)
    print("| loader | order | journeys/s, median | lowest | highest |\n|---|---|---|---|---|")
    medians = {key: statistics.median(values) for key, values in rates.items()}
    for (loader, order), values in rates.items():
        print(f"| {loader} | {order} | {medians[loader, order]:,.0f} | {min(values):,.0f} | {max(values):,.0f} |")
    ratios = {}
    for cache in CHUNK_CACHES:
        for ours, theirs in (("in order, whole blocks", "in order"), ("training order", "shuffled blocks")):
            best = max(rate for (loader, order), rate in medians.items() if f", {cache}, " in loader and order == theirs)
            ratios[f"{ours}, over h5py {cache}"] = medians["alm", ours] / best
    print("\n" + "\n".join(f"{what}: {ratio:.1f} times" for what, ratio in ratios.items()))
    if options.json:
        lines = [{"loader": loader, "order": order, "journeys_per_s": values} for (loader, order), values in rates.items()]
        lines.append({"ratios": ratios})
        pathlib.Path(options.json).write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
