"""Training steps of the PyTorch peer, measured on request: see compare.py, which starts one of these a
rank and writes it a line for every round. Answers each with a line of JSON: seconds of wall and of
processor time of the median step, by variant.

usage: train.py --log FILE --batch N --steps N --threads N [--micro N] [--variants NAME ...]
       ranks by RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT

A step is the engine's: losses and gradients of the global batch, sum over ranks (DistributedDataParallel
over gloo; of the two row tables only the rows used), clipping by the norm, fused AdamW on the dense
parameters, row-wise Adagrad on the rows. --micro cuts a rank's batch into parts whose gradients are added,
so that activations stay in the processor's caches. Ids are hashed and batches padded before, while the
engine does its share of that inside the step.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import time

import torch
import torch.distributed as dist

import data
import model

BATCHES = 4
TABLE_ROWS = 1 << 20
LONGEST = 16
CLIP_NORM = 10.0
RATES = {"learning_rate": 3e-3, "row_learning_rate": 0.02, "weight_decay": 1e-3}
FORMS = {"packed": model.Packed, "padded": model.Padded}
# A third word, bf16: products in bf16 by autocast.
VARIANTS = ("eager packed", "eager padded", "compiled packed", "compiled padded")


class Table:
    """A hashed row table with row-wise Adagrad; the gradient of the rows used is an ordinary tensor."""

    def __init__(self, width):
        self.weights = torch.randn(TABLE_ROWS, width) * 0.05
        self.state = torch.zeros(TABLE_ROWS)

    def used(self, rows):
        return self.weights[rows].requires_grad_()

    @staticmethod
    def sum_uses(rows, gradient):
        distinct, place = torch.unique(rows, return_inverse=True)
        return distinct, gradient.new_zeros(len(distinct), gradient.shape[1]).index_add_(0, place, gradient)

    def merge(self, rows, gradient, world):
        """Distinct rows and their gradient over all uses and ranks. COLLECTIVE."""
        rows, gradient = self.sum_uses(rows, gradient)
        if world == 1:
            return rows, gradient
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(world)]
        dist.all_gather(counts, torch.tensor([len(rows)]))
        most = max(int(count) for count in counts)
        all_rows = [rows.new_empty(most) for _ in range(world)]
        all_gradients = [gradient.new_empty(most, gradient.shape[1]) for _ in range(world)]
        dist.all_gather(all_rows, torch.nn.functional.pad(rows, (0, most - len(rows))))
        dist.all_gather(all_gradients, torch.nn.functional.pad(gradient, (0, 0, 0, most - len(rows))))
        return self.sum_uses(
            torch.cat([part[: int(count)] for part, count in zip(all_rows, counts)]),
            torch.cat([part[: int(count)] for part, count in zip(all_gradients, counts)]),
        )

    def update(self, rows, gradient):
        state = self.state[rows] + gradient.square().mean(1)
        self.state[rows] = state
        step = -RATES["row_learning_rate"] / (state.sqrt() + 1e-8)
        self.weights.index_add_(0, rows, gradient * step.unsqueeze(1))


class Network(torch.nn.Module):
    def __init__(self, form, sizes):
        super().__init__()
        self.form = form
        self.names = list(sizes)
        for name, (rows, cols) in sizes.items():
            bound = 0 if name.endswith("bias") else (1.0 / rows) ** 0.5
            self.register_parameter(name, torch.nn.Parameter(torch.randn(rows, cols) * bound))

    def forward(self, batch, cats, items):
        p = {name: getattr(self, name) for name in self.names}
        return model.weighted(model.losses(self.form, p, batch, cats, items))


class Trainer:
    def __init__(self, variant, sizes, tables, world):
        mode, form, *precision = variant.split()
        self.form = form
        self.bf16 = precision == ["bf16"]
        self.world = world
        self.cats, self.items = tables
        network = Network(FORMS[form], sizes)
        split = {True: [], False: []}
        for name, parameter in network.named_parameters():
            split[model.decays(name)].append(parameter)
        self.parameters = split[True] + split[False]
        self.optimizer = torch.optim.AdamW(
            [{"params": split[True]}, {"params": split[False], "weight_decay": 0.0}],
            lr=RATES["learning_rate"], weight_decay=RATES["weight_decay"], fused=True,
        )
        if mode == "compiled":
            network.compile(dynamic=form == "packed")
        self.network = torch.nn.parallel.DistributedDataParallel(network) if world > 1 else network

    def gradients(self, parts):
        """Fills .grad of the dense parameters; returns the uses of both tables."""
        self.optimizer.zero_grad(set_to_none=True)
        uses = []
        for number, batch in enumerate(parts):
            cats, items = self.cats.used(batch["cat_rows"]), self.items.used(batch["item_rows"])
            alone = self.world > 1 and number + 1 < len(parts)
            with self.network.no_sync() if alone else contextlib.nullcontext():
                with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                    loss = self.network(batch, cats, items)
                loss.backward()
            item_gradient, item_rows = items.grad, batch["item_rows"]
            if self.form == "padded":
                item_gradient = item_gradient.flatten(0, 1)[batch["slot"]]
                item_rows = item_rows.flatten()[batch["slot"]]
            uses.append((batch["cat_rows"].flatten(), cats.grad.flatten(0, 1), item_rows, item_gradient))
        return [torch.cat(column) for column in zip(*uses)]

    def step(self, parts, global_batch):
        cat_rows, cat_gradient, item_rows, item_gradient = self.gradients(parts)
        cats = self.cats.merge(cat_rows, cat_gradient, self.world)
        items = self.items.merge(item_rows, item_gradient, self.world)
        dense = [parameter.grad for parameter in self.parameters]
        # DistributedDataParallel leaves the mean over ranks.
        torch._foreach_mul_(dense, self.world / global_batch)
        rows = [gradient.mul_(1 / global_batch) for _, gradient in (cats, items)]
        norm = float(torch.stack(torch._foreach_norm(dense + rows)).norm())
        if norm > CLIP_NORM:
            torch._foreach_mul_(dense + rows, CLIP_NORM / norm)
        self.optimizer.step()
        self.cats.update(*cats)
        self.items.update(*items)


def median_step(trainer, batches, steps, global_batch):
    wall, processor = [], []
    for step in range(steps):
        began = time.perf_counter(), time.process_time()
        trainer.step(batches[step % len(batches)], global_batch)
        wall.append(time.perf_counter() - began[0])
        processor.append(time.process_time() - began[1])
    return {"wall": statistics.median(wall), "processor": statistics.median(processor)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--micro", type=int, default=0)
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    options = parser.parse_args()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    if world > 1:
        dist.init_process_group("gloo")

    columns = data.read_log(next(pathlib.Path(options.log).glob("*.h5")), BATCHES * options.batch)
    gaps = [data.columns_with_gaps(columns[name]) for name in ("dense", "touch_dense")]
    mine = options.batch // world
    micro = options.micro or mine
    packed = []
    for number in range(BATCHES):
        first = number * options.batch + rank * mine
        starts = range(first, first + mine, micro)
        packed.append([data.packed_batch(columns, at, at + micro, LONGEST, TABLE_ROWS, gaps) for at in starts])
    padded = [[data.padded(part) for part in batch] for batch in packed]
    one = packed[0][0]
    sizes = model.shapes(
        one["dense"].shape[1], one["cat_rows"].shape[1], 1000, LONGEST, one["touch_features"].shape[1]
    )
    tables = Table(16), Table(32)
    trainers = {variant: Trainer(variant, sizes, tables, world) for variant in options.variants}
    batches = {"packed": packed, "padded": padded}
    for trainer in trainers.values():
        median_step(trainer, batches[trainer.form], 2 * BATCHES, options.batch)
    print(json.dumps({"ready": torch.__version__, "build": torch.__config__.show()}), flush=True)
    for _ in sys.stdin:
        found = {
            variant: median_step(trainer, batches[trainer.form], options.steps, options.batch)
            for variant, trainer in trainers.items()
        }
        print(json.dumps(found), flush=True)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
