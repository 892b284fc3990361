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
    if bad_row is not None:
        log["/touch/cluster"][begin[numpy.flatnonzero(touches > 0)[bad_row]]] = CLUSTERS
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["alm_schema"] = "alm-log/1"
        file.attrs["clusters"] = CLUSTERS
        file.attrs["block_rows"] = BLOCK
        for name, values in log.items():
            file.create_dataset(name, data=values)
    return log, touches


def inspect(alm, launcher, *arguments):
    done = subprocess.run(launcher + [alm, "inspect", *arguments], capture_output=True, text=True,
                          timeout=100)
    return done.returncode, done.stdout, done.stderr


def check(holds, what):
    if not holds:
        print(f"FAILED: {what}")
        sys.exit(1)


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
            "first_time": "2023-11-14T22:13:20Z",
        }.items():
            check(found[key] == wanted, f"{key} is {found[key]}, not {wanted}")
        for value, wanted in (
            (found["outcome_mean"], column("/journey/outcome").mean()),
            (found["mediator_known"], (mediator != 255).mean()),
            (found["mediator_rate"], (mediator == 1).sum() / (mediator != 255).sum()),
            (found["journey_length"]["mean"], lengths.mean()),
        ):
            check(abs(value - wanted) < 1e-12, f"{value} is not {wanted}")
        check(found["journey_length"]["longest"] == lengths.max(), "longest")
        check(found["journey_length"]["without_touches"] == (lengths == 0).sum(), "without touches")
        check(found["journey_length"]["median"] == numpy.quantile(
            lengths, .5, method="inverted_cdf"), "median")
        code, text, said = inspect(alm, [], "--log", folder)
        check(code == 0 and "journeys" in text, "lines for people")

        bad = os.path.join(folder, "part-1.h5")
        write_log(bad, ROWS, ROWS, bad_row=300)
        for launcher in launchers:
            code, text, said = inspect(alm, launcher, "--log", folder, "--json", "--quiet")
            found = json.loads(text)
            check(code == 1, f"a bad row gives exit code {code}: {said}")
            check(found["bad_rows"] == 1 and bad in found["first_bad_row"]
                  and "/touch/cluster" in found["first_bad_row"], found["first_bad_row"])
            code, text, said = inspect(alm, launcher, "--log", folder, "--on-bad-row", "skip")
            check(code == 0 and "first bad row" in text, "skipped bad rows are no failure")

        with open(bad, "r+b") as file:
            file.truncate(1000)
        for launcher in launchers:
            code, text, said = inspect(alm, launcher, "--log", folder)
            check(code == 1 and bad in said, f"a cut file gives {code}: {said}")
    print("inspect counts right")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
