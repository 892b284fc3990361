"""Logs of three origins train with the same command: of `alm synth`, of h5py (contiguous, without any
data set that training can do without), and of `alm import` (of the same rows as text). Equal rows give
equal parameters, whoever wrote them.

usage: log_origins.py ALM
Exit 77: no h5py here.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
except ImportError:
    print("skipped: no h5py")
    sys.exit(77)

CLUSTERS = 5
MAPPING = """[file]
form = touch
[columns]
journey = journey
user = user
outcome = outcome
cluster = cluster
mediator = mediator
"""


def run(*arguments):
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=200)
    if result.returncode != 0:
        sys.exit(f"FAILED: {' '.join(arguments)}\n{result.stdout}{result.stderr}")
    return result.stdout


def rows_of(folder):
    """What training needs of a log of one file, in plain arrays."""
    (name,) = os.listdir(folder)
    with h5py.File(os.path.join(folder, name), "r") as log:
        return {path: log[path][...] for path in ("/journey/user", "/journey/outcome",
                                                  "/journey/touch_begin", "/touch/cluster",
                                                  "/touch/mediator")}


def write_h5py(folder, rows):
    os.mkdir(folder)
    with h5py.File(os.path.join(folder, "log.h5"), "w") as log:
        log.attrs["alm_schema"] = "alm-log/1"
        log.attrs["clusters"] = CLUSTERS
        log.attrs["block_rows"] = 32768
        for path, values in rows.items():
            log.create_dataset(path, data=values)
            assert log[path].chunks is None


def write_csv(path, rows):
    begin = rows["/journey/touch_begin"].astype(int)
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["journey", "user", "outcome", "cluster", "mediator"])
        for journey, user in enumerate(rows["/journey/user"]):
            outcome = int(rows["/journey/outcome"][journey])
            for touch in range(begin[journey], begin[journey + 1]):
                table.writerow([journey, user, outcome, rows["/touch/cluster"][touch],
                                rows["/touch/mediator"][touch]])


def train(alm, work, name):
    """The hash of the parameters, after a look at the estimates."""
    out = os.path.join(work, name + "_run")
    said = run(alm, "train", "--log", os.path.join(work, name), "--out", out, "--model", "tiny",
               "--epochs", "2", "--batch", "256", "--deterministic", "--quiet")
    with open(os.path.join(out, "estimates.json"), encoding="utf-8") as file:
        effects = json.load(file)["effects"]
    if len(effects) != CLUSTERS or any(each["ett"]["one_step"] is None for each in effects):
        sys.exit(f"FAILED: {name}: no effect for each of {CLUSTERS} clusters")
    last = said.strip().split("\n")[-1]
    if not last.startswith("parameters sha256 "):
        sys.exit(f"FAILED: {name}: the last line is {last!r}")
    return last


def main(alm):
    with tempfile.TemporaryDirectory() as work:
        path = lambda name: os.path.join(work, name)
        run(alm, "synth", "--out", path("synth"), "--journeys", "4001", "--clusters", str(CLUSTERS),
            "--seed", "3", "--quiet")
        rows = rows_of(path("synth"))
        assert numpy.all(numpy.diff(rows["/journey/touch_begin"].astype(int)) > 0)
        write_h5py(path("h5py"), rows)
        write_csv(path("rows.csv"), rows)
        with open(path("map.ini"), "w", encoding="utf-8") as file:
            file.write(MAPPING)
        run(alm, "import", "--in", path("rows.csv"), "--mapping", path("map.ini"), "--out",
            path("import"), "--quiet")

        imported = rows_of(path("import"))
        for name, values in rows.items():
            if not numpy.array_equal(values, imported[name]):
                sys.exit(f"FAILED: {name} differs after the way through text")
        hashes = {name: train(alm, work, name) for name in ("synth", "h5py", "import")}
        if hashes["h5py"] != hashes["import"]:
            sys.exit(f"FAILED: equal rows, unlike parameters: {hashes}")
        if hashes["synth"] == hashes["h5py"]:
            sys.exit("FAILED: the context of the synthetic log changed nothing")
    print("logs of three origins train with the same command")


if __name__ == "__main__":
    main(sys.argv[1])
