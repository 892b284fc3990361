"""Writes reference_model_golden.json: losses and gradients of the reference model in PyTorch.

Needs PyTorch 2 and numpy (`pip install torch numpy`), outside the repository. Some journeys are drawn,
every parameter is a formula of its name and place (parameter() here and in the test that reads the file),
and launch/bench/peer/model.py, the peer that the engine's speed is measured against, computes in double
precision. Both its forms must agree before anything is written. Of each gradient the file holds the norm,
the inner product with signs that a hash gives, and some entries.

    python tests/golden/make_reference_model_golden.py > tests/golden/reference_model_golden.json
    python tests/golden/make_reference_model_golden.py --check   # what this machine's PyTorch says in fp32
"""

import json
import pathlib
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "launch/bench/peer"))
import data  # noqa: E402
import model  # noqa: E402

GOLDEN = ROOT / "tests/golden/reference_model_golden.json"
JOURNEYS = 20
LONGEST = 16
CLUSTERS = 1000
TABLE_ROWS = 512
ENTRIES = 24
TOLERANCE = 1e-5


def hash_name(name):
    word = np.uint64(0)
    for letter in name.encode():
        word = data.mix(word ^ np.uint64(letter))
    return word


def units(name, count):
    """Uniform in [0, 1): the top 53 bits of mix(hash of the name ^ place)."""
    words = data.mix(hash_name(name) ^ np.arange(count, dtype=np.uint64))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def parameter(name, rows, cols):
    scale = 0.1 if rows == 1 else 1.5 / np.sqrt(rows)
    return ((2 * units(name, rows * cols) - 1) * scale).astype(np.float32).reshape(rows, cols)


def draw_journeys():
    rng = np.random.default_rng(8)
    counts = rng.integers(1, 9, JOURNEYS)
    counts[:3] = 0, 1, LONGEST
    touches = int(counts.sum())

    def dense(rows, columns):
        values = np.round(rng.normal(size=(rows, columns)), 3)
        values[rng.random((rows, columns)) < 0.05] = np.nan
        values[:, 0] = np.nan_to_num(values[:, 0])
        return values

    return {
        "touch_begin": np.concatenate([[0], np.cumsum(counts)]),
        "time": np.full(JOURNEYS, 1_700_000_000_000),
        "outcome": rng.integers(0, 2, JOURNEYS),
        "weight": rng.choice([1.0, 2.5], JOURNEYS),
        "dense": dense(JOURNEYS, 16),
        "cat": rng.integers(0, 50, (JOURNEYS, 8)),
        "touch_cluster": rng.choice([3, 4, 5, 998, 999], touches),
        "touch_item": rng.integers(0, 40, touches),
        "touch_time": np.sort(1_700_000_000_000 - rng.integers(0, 10**9, touches)),
        "touch_dense": dense(touches, 4),
        "touch_mediator": rng.choice([0, 1, 255], touches, p=[0.4, 0.4, 0.2]),
    }


def answers(columns, form, number):
    """(losses, {name: gradient of the weighted sum}) of that form in that number type."""
    gaps = [data.columns_with_gaps(columns[name]) for name in ("dense", "touch_dense")]
    batch = data.packed_batch(columns, 0, JOURNEYS, LONGEST, TABLE_ROWS, gaps)
    used = batch["item_rows"]
    if form is model.Padded:
        batch = data.padded(batch)
    batch = {k: v.to(number) if v.is_floating_point() else v for k, v in batch.items()}
    sizes = model.shapes(
        batch["dense"].shape[1], batch["cat_rows"].shape[1], CLUSTERS, LONGEST, batch["touch_features"].shape[-1]
    )
    names = sizes | {"cats": (TABLE_ROWS, 16), "items": (TABLE_ROWS, 32)}
    p = {name: torch.tensor(parameter(name, *shape), dtype=number, requires_grad=True) for name, shape in names.items()}
    parts = model.losses(form, p, batch, p["cats"][batch["cat_rows"]], p["items"][batch["item_rows"]])
    model.weighted(parts).backward()
    assert len(set(used.tolist())) < len(used), "no row is used twice"
    losses = dict(zip(model.LOSS_WEIGHTS, (part.item() for part in parts)))
    return losses, {name: tensor.grad.to(torch.float64) for name, tensor in p.items()}


def summary(name, gradient):
    flat = gradient.flatten().numpy()
    signs = np.where(units(name + " sign", flat.size) < 0.5, -1.0, 1.0)
    # The largest entries and some anywhere.
    largest = np.argsort(-np.abs(flat), kind="stable")[: ENTRIES // 2]
    spread = np.linspace(0, flat.size - 1, ENTRIES - len(largest)).astype(int)
    places = np.unique(np.concatenate([largest, spread]))
    return {
        "shape": list(gradient.shape),
        "norm": float(np.sqrt((flat**2).sum())),
        "signed": float((flat * signs).sum()),
        "entries": [[int(at), float(flat[at])] for at in places],
    }


def difference(got, wanted):
    """Largest difference of losses (relative) and gradients (to the largest entry of their tensor)."""
    worst = max(abs(got[0][name] - value) / abs(value) for name, value in wanted[0].items())
    for name, gradient in wanted[1].items():
        worst = max(worst, float((got[1][name] - gradient).abs().max() / gradient.abs().max()))
    return worst


def main():
    columns = draw_journeys()
    golden = answers(columns, model.Packed, torch.float64)
    other = difference(answers(columns, model.Padded, torch.float64), golden)
    assert other < 1e-12, f"packed and padded differ by {other}"
    single = {
        form.__name__: difference(answers(columns, form, torch.float32), golden) for form in (model.Packed, model.Padded)
    }
    if sys.argv[1:] == ["--check"]:
        stored = json.loads(GOLDEN.read_text())
        now = {name: summary(name, gradient) for name, gradient in golden[1].items()}
        worst = max(abs(now[n]["signed"] - g["signed"]) / g["norm"] for n, g in stored["gradients"].items())
        print(f"PyTorch {torch.__version__}: fp32 to fp64 {single}, fp64 to the stored values {worst}")
        return 0 if worst < TOLERANCE and max(single.values()) < TOLERANCE else 1
    columns["dense"] = np.where(np.isnan(columns["dense"]), None, columns["dense"])
    columns["touch_dense"] = np.where(np.isnan(columns["touch_dense"]), None, columns["touch_dense"])
    out = {
        "source": f"PyTorch {torch.__version__}, fp64, launch/bench/peer/model.py",
        "clusters": CLUSTERS,
        "longest": LONGEST,
        "table_rows": TABLE_ROWS,
        "journeys": {name: values.tolist() for name, values in columns.items()},
        "losses": golden[0],
        "gradients": {name: summary(name, gradient) for name, gradient in golden[1].items()},
    }
    text = json.dumps(out)
    print(text.replace(', "', ',\n"'))
    return 0


if __name__ == "__main__":
    sys.exit(main())
