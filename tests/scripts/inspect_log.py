"""usage: inspect_log.py ALM [MPIEXEC]

`alm inspect` on a log written by plain h5py, counted independently here; on one rank and on three.
"""

import json
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROWS, CLUSTERS, BLOCK = 1009, 7, 64


def write_log(path, first_row, rows, bad_row=None):
    random = numpy.random.default_rng(first_row + 1)
    touches = random.integers(0, 6, rows)
    begin = numpy.concatenate([[0], numpy.cumsum(touches)]).astype("u8")
    total = int(begin[-1])
    log = {
        "/journey/user": numpy.arange(first_row, first_row + rows).astype("u8"),
        "/journey/time": 1_700_000_000_000 + 1000 * numpy.arange(first_row, first_row + rows),
        "/journey/outcome": (random.random(rows) < .3).astype("u1"),
        "/journey/touch_begin": begin,
        "/touch/cluster": random.integers(0, CLUSTERS, total).astype("u4"),
        "/touch/mediator": random.choice([0, 1, 255], total).astype("u1"),
    }
    log["/journey/weight"] = random.choice([1, 4], rows).astype("f4")
    log["/journey/dense"] = numpy.where(random.random((rows, 2)) < .2, numpy.nan,
                                        random.normal(size=(rows, 2))).astype("f4")
    log["/touch/time"] = numpy.repeat(log["/journey/time"], touches) - 5
    log["/touch/propensity"] = random.choice([.25, .5], total).astype("f4")
    log["/touch/randomised"] = random.integers(0, 2, total).astype("u1")
    log["/touch/item"] = random.integers(0, 50, total).astype("u8")
    log["/touch/proxy"] = random.choice([0, 1, 255], (total, 2)).astype("u1")
    if bad_row is not None:
        log["/touch/cluster"][begin[numpy.flatnonzero(touches > 0)[bad_row]]] = CLUSTERS
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["alm_schema"] = "alm-log/1"
        file.attrs["clusters"] = CLUSTERS
        file.attrs["block_rows"] = BLOCK
        file["/meta/cluster"] = [f"topic {cluster}" for cluster in range(CLUSTERS)]
        file["/meta/dense"] = ["age", "income"]
        file["/meta/proxy_leaky"] = numpy.array([0, 1], "u1")
        for name, values in log.items():
            file.create_dataset(name, data=values, fletcher32=True, chunks=values.shape)
    return log, touches


def inspect(alm, launcher, *arguments):
    done = subprocess.run(launcher + [alm, "inspect", *arguments], capture_output=True, text=True,
                          timeout=100)
    return done.returncode, done.stdout, done.stderr


def check(holds, what):
    if not holds:
        print(f"FAILED: {what}")
        sys.exit(1)


def damage(path, name):
    """A byte in the first chunk of that data set changes."""
    with h5py.File(path) as file:
        at = file[name].id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as file:
        file.seek(at + 5)
        byte = file.read(1)[0]
        file.seek(at + 5)
        file.write(bytes([byte ^ 1]))


def close(value, wanted, what):
    check(value == wanted or abs(value - wanted) <= 1e-9 * abs(wanted), f"{what} is {value}, not {wanted}")


def independent(found, column, lengths):
    """What inspect counts, once more by numpy."""
    check(found["users"] == {"distinct": 2 * ROWS, "exact": True}, found["users"])
    items = found["ids"][0]
    check(items["data_set"] == "/touch/item" and items["exact"]
          and items["distinct"] == len(numpy.unique(column("/touch/item"))), items)
    weight = column("/journey/weight").astype(float)
    close(found["outcome_mean_weighted"], (weight * column("/journey/outcome")).sum() / weight.sum(), "weighted")
    cluster, mediator = column("/touch/cluster"), column("/touch/mediator")
    journey = numpy.repeat(numpy.arange(len(lengths)), lengths)
    for number, entry in enumerate(found["cluster_rates"]):
        mine = cluster == number
        journeys = numpy.unique(journey[mine])
        check(entry["cluster"] == number and entry["name"] == f"topic {number}"
              and entry["touches"] == mine.sum() and entry["journeys"] == len(journeys), entry)
        close(entry["outcome_mean"], column("/journey/outcome")[journeys].mean(), "outcome of a cluster")
        close(entry["mediator_rate"], (mediator[mine] == 1).sum() / (mediator[mine] != 255).sum(), "mediator")
        close(entry["randomised_share"], column("/touch/randomised")[mine].mean(), "randomised")
    inverse = 1 / column("/touch/propensity").astype(float)
    close(found["overlap"]["propensity"]["ess"], inverse.sum() ** 2 / (inverse ** 2).sum(), "ess")
    dense = column("/journey/dense")
    for number, name in enumerate(["age", "income"]):
        entry = next(c for c in found["columns"] if c["name"] == name)
        close(entry["missing"], numpy.isnan(dense[:, number]).mean(), "missing")
        close(entry["lowest"], float(numpy.nanmin(dense[:, number])), "lowest")
    for number, entry in enumerate(found["proxies"]):
        proxy = column("/touch/proxy")[:, number]
        check(entry["leaky"] == (number == 1), entry)
        close(entry["rate"], (proxy == 1).sum() / (proxy != 255).sum(), "proxy rate")
    check(found["time"]["journey"]["first"] == "2023-11-14T22:13:20Z", "first time")
    check(found["time"]["touch"]["last_ms"] == int(column("/touch/time").max()), "last touch")
    check(found["time"]["journeys_in_order"] is True, "order of time")
    histogram = found["journey_length"]["histogram"]
    check([(b["from"], b["to"]) for b in histogram] == [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8)], histogram)
    check(sum(b["journeys"] for b in histogram) == len(lengths), "histogram")


def main(alm, mpiexec):
    launchers = [[]] + ([[mpiexec, "--oversubscribe", "-n", "3"]] if mpiexec else [])
    with tempfile.TemporaryDirectory(prefix="alm_inspect_") as folder:
        parts = [write_log(os.path.join(folder, f"part-{part}.h5"), part * ROWS, ROWS)
                 for part in range(2)]
        lengths = numpy.concatenate([touches for _, touches in parts])

        def column(name):
            return numpy.concatenate([log[name] for log, _ in parts])

        mediator = column("/touch/mediator")
        answers = set()
        for launcher in launchers:
            code, text, said = inspect(alm, launcher, "--log", folder, "--json", "--quiet")
            check(code == 0, f"exit code {code}: {said}")
            answers.add(text)
        check(len(answers) == 1, "the answer depends on the number of ranks")
        found = json.loads(answers.pop())
        for key, wanted in {
            "kind": "sequence log", "files": 2, "rows": 2 * ROWS, "touches": int(lengths.sum()),
            "good_rows": 2 * ROWS, "bad_rows": 0, "first_bad_row": None, "outcome": "binary",
            "clusters_touched": len(numpy.unique(column("/touch/cluster"))),
            "valid": True, "problems": [], "bad_row_kinds": [],
        }.items():
            check(found[key] == wanted, f"{key} is {found[key]}, not {wanted}")
        for value, wanted in (
            (found["outcome_mean"], column("/journey/outcome").mean()),
            (found["mediator_known"], (mediator != 255).mean()),
            (found["mediator_rate"], (mediator == 1).sum() / (mediator != 255).sum()),
            (found["journey_length"]["mean"], lengths.mean()),
        ):
            check(abs(value - wanted) < 1e-12, f"{value} is not {wanted}")
        independent(found, column, lengths)
        check(found["journey_length"]["longest"] == lengths.max(), "longest")
        check(found["journey_length"]["without_touches"] == (lengths == 0).sum(), "without touches")
        check(found["journey_length"]["median"] == numpy.quantile(
            lengths, .5, method="inverted_cdf"), "median")
        code, text, said = inspect(alm, [], "--log", folder)
        check(code == 0 and "The log is valid." in text and "2 topic 2" in text, "lines for people")
        code, text, said = inspect(alm, launchers[-1], "--log", folder, "--json", "--verify")
        verified = json.loads(text)["verify"]
        stored = sum(values.nbytes for log, _ in parts for values in log.values())
        check(code == 0 and verified["damaged"] == 0 and verified["unchecked_bytes"] == 0, said)
        chunks = sum(len(log) for log, _ in parts)
        check(verified["checked_bytes"] == stored + 4 * chunks, "every stored byte is checked")

        bad = os.path.join(folder, "part-1.h5")
        write_log(bad, ROWS, ROWS, bad_row=300)
        for launcher in launchers:
            code, text, said = inspect(alm, launcher, "--log", folder, "--json", "--quiet")
            found = json.loads(text)
            check(code == 1, f"a bad row gives exit code {code}: {said}")
            kind = found["bad_row_kinds"][0]
            check(kind["what"] == "/touch/cluster: not a cluster" and kind["rows"] == 1
                  and kind["examples"] == [found["first_bad_row"]] and not found["valid"], kind)
            check(found["bad_rows"] == 1 and bad in found["first_bad_row"]
                  and "/touch/cluster" in found["first_bad_row"], found["first_bad_row"])
            code, text, said = inspect(alm, launcher, "--log", folder, "--on-bad-row", "skip")
            check(code == 0 and "valid without the bad rows" in text, "skipped bad rows are no failure")

        damage(bad, "/touch/cluster")
        for launcher in launchers:
            code, text, said = inspect(alm, launcher, "--log", folder, "--json", "--verify")
            found = json.loads(text)
            check(code == 1 and found["verify"]["damaged"] == 1 and not found["valid"]
                  and bad in found["problems"][0] and "/touch/cluster" in found["problems"][0], text)

        with open(bad, "r+b") as file:
            file.truncate(1000)
        for launcher in launchers:
            code, text, said = inspect(alm, launcher, "--log", folder)
            check(code == 1 and bad in said, f"a cut file gives {code}: {said}")
    print("inspect counts right")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
