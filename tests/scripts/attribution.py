"""usage: attribution.py ALM [MPIEXEC]

`alm attribute` end to end: the same bytes on any ranks and threads, CSV and HDF5 alike, every touch
of the scored users once and in order, and means that are those of estimates.json.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap

try:
    import h5py
    import numpy
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

COLUMNS = ["row", "user", "position", "cluster", "do", "ett", "shapley", "share"]
TYPES = ["i8", "u8", "u4", "u4", "f4", "f4", "f4", "f4"]


def check(holds, what):
    if not holds:
        print(f"FAILED: {what}")
        sys.exit(1)


def run(command, wanted=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    check(done.returncode == wanted,
          f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def read_csv(path):
    with open(path, newline="", encoding="ascii") as file:
        header, *lines = csv.reader(file)
    check(header in (COLUMNS, COLUMNS + ["cluster_name"]), f"columns {header}")
    values = list(zip(*lines)) if lines else [[]] * len(header)
    table = {name: numpy.array(column, dtype=kind)
             for name, kind, column in zip(COLUMNS, TYPES, values)}
    return table, list(values[-1]) if len(header) > len(COLUMNS) else []


def read_h5(path):
    with h5py.File(path, "r") as file:
        check(sorted(set(file) - {"meta"}) == sorted(COLUMNS), f"data sets {list(file)}")
        for note in ("estimand_note", "mediator_mode", "scored"):
            check(note in file.attrs, f"no attribute {note}")
        names = file["/meta/cluster"].asstr()[:] if "meta" in file else []
        return {name: file[name][:] for name in COLUMNS}, names


def read_log(folder):
    parts = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".h5"):
            with h5py.File(os.path.join(folder, name), "r") as file:
                parts.append([file[path][:] for path in (
                    "/journey/user", "/journey/touch_begin", "/touch/cluster")])
    user = numpy.concatenate([part[0] for part in parts])
    lengths = numpy.concatenate([numpy.diff(part[1]) for part in parts]).astype("i8")
    row = numpy.repeat(numpy.arange(len(user)), lengths)
    first = numpy.repeat(numpy.cumsum(lengths) - lengths, lengths)
    return {"row": row, "user": user[row], "position": numpy.arange(len(row)) - first,
            "cluster": numpy.concatenate([part[2] for part in parts])}


def attribute(alm, launchers, folder, run_dir, log):
    """The rows of `alm attribute`, after comparing every way of making them."""
    out = os.path.join(folder, "out", "attribution")
    seen = {".csv": set(), ".h5": set()}
    for launcher, threads in [([], "3")] + [(launcher, "1") for launcher in launchers]:
        for ending, contents in seen.items():
            run(launcher + [alm, "attribute", "--run", run_dir, "--log", log, "--out",
                            out + ending, "--threads", threads])
            with open(out + ending, "rb") as file:
                contents.add(file.read())
    check(sorted(os.listdir(os.path.dirname(out))) == ["attribution.csv", "attribution.h5"],
          f"left behind: {os.listdir(os.path.dirname(out))}")
    if len(launchers) > 1:  # a rank that cannot write is the error of all, and nothing is left
        blocked = os.path.join(folder, "blocked", "credit.csv")
        os.makedirs(blocked + ".part-1", exist_ok=True)
        said = run(launchers[1] + [alm, "attribute", "--run", run_dir, "--log", log, "--out", blocked],
                   wanted=2)
        check("rank 1 of 2: " in said and "MPI_ABORT" not in said, said)
        check(os.listdir(os.path.dirname(blocked)) == ["credit.csv.part-1"],
              f"left behind: {os.listdir(os.path.dirname(blocked))}")
    for ending, contents in seen.items():
        check(len(contents) == 1, f"{ending}: the bytes depend on ranks or threads")
    (table, called), (copy, names) = read_csv(out + ".csv"), read_h5(out + ".h5")
    with h5py.File(os.path.join(log, "part-00000.h5"), "r") as file:
        wanted = list(file["/meta/cluster"].asstr()[:]) if "/meta/cluster" in file else []
    check(list(names) == wanted, f"/meta/cluster is {names}, not {wanted}")
    check(called == ([wanted[cluster] for cluster in table["cluster"]] if wanted else []),
          "cluster_name is not the name that the log gives the cluster")
    for name in COLUMNS:
        check(table[name].dtype == copy[name].dtype and (table[name] == copy[name]).all(),
              f"{name} differs between CSV and HDF5")
    return table


def check_touches(table, log, users):
    chosen = numpy.isin(log["user"], users)
    for name in ("row", "user", "position", "cluster"):
        check((table[name] == log[name][chosen]).all() and len(table[name]) == chosen.sum(),
              f"{name} is not that of the log's touches of the scored users")


def check_means(table, run_dir, keys):
    with open(os.path.join(run_dir, "estimates.json"), encoding="utf-8") as file:
        effects = json.load(file)["effects"]
    for effect in effects:
        mine = table["cluster"] == effect["cluster"]
        check(mine.sum() == effect["touches"] or keys == ["ett"], f"touches of {effect['cluster']}")
        for key in keys:
            mean, wanted = table[key][mine].mean(dtype="f8"), effect[key]["plugin"]
            check(abs(mean - wanted) < 1e-6 * max(abs(table[key]).max(), 1e-3),
                  f"mean {key} of cluster {effect['cluster']} is {mean}, not {wanted}")


def sequence_log(alm, launchers, folder):
    log, other = os.path.join(folder, "log"), os.path.join(folder, "other")
    run_dir = os.path.join(folder, "run")
    run([alm, "synth", "--out", log, "--journeys", "5003", "--clusters", "7", "--rows-per-file",
         "1000"])
    run([alm, "train", "--log", log, "--out", run_dir, "--model", "tiny", "--epochs", "4"])
    table = attribute(alm, launchers, folder, run_dir, log)
    touches = read_log(log)
    users = numpy.unique(table["user"])
    share = len(users) / len(numpy.unique(touches["user"]))
    check(.15 < share < .25, f"{share} of the users are scored, not about .2")
    check_touches(table, touches, users)
    check_means(table, run_dir, ["do", "ett"])
    journey = numpy.unique(table["row"], return_inverse=True)[1]
    shares = numpy.bincount(journey, weights=table["share"].astype("f8"))
    check(abs(shares - 1).max() < 1e-6, "shares of a journey do not sum to 1")
    total = numpy.bincount(journey, weights=table["shapley"].astype("f8"))[journey]
    check(numpy.allclose(table["shapley"], table["share"] * total, rtol=1e-5, atol=0),
          "share is not that of the Shapley values")

    # Another log: all its users. Then one whose mediator is the same everywhere: no effects.
    run([alm, "synth", "--out", other, "--journeys", "300", "--clusters", "7", "--seed", "2"])
    out = os.path.join(folder, "other.csv")
    said = run([alm, "attribute", "--run", run_dir, "--log", other, "--out", out])
    check("not the log the run was trained on" in said, said)
    touches = read_log(other)
    check_touches(read_csv(out)[0], touches, touches["user"])
    same = os.path.join(folder, "same.h5")
    shutil.copy(os.path.join(other, "part-00000.h5"), same)
    with h5py.File(same, "r+") as file:
        count = len(file["/touch/mediator"])
        del file["/touch/mediator"]
        file["/touch/mediator"] = numpy.zeros(count, dtype="u1")
    refused = os.path.join(folder, "refused", "a.csv")
    for launcher in launchers:
        said = run(launcher + [alm, "attribute", "--run", run_dir, "--log", same, "--out", refused],
                   wanted=1)
        check("the mediator hardly varies" in said, said)
        check(not os.path.exists(refused), "a file without effects was made")

    for name, words in (("a.txt", ".csv or .h5"), ("log/part-00000.h5", "is a file of the log")):
        said = run([alm, "attribute", "--run", run_dir, "--log", log, "--out",
                    os.path.join(folder, name)], wanted=1)
        check(words in said, said)


def arm_log(alm, launchers, folder, nuisance):
    log, run_dir = os.path.join(folder, "arms"), os.path.join(folder, "run-" + nuisance)
    if not os.path.exists(log):
        run([alm, "synth", "--out", log, "--level", "A", "--journeys", "6007", "--rows-per-file",
             "2000"])
    run([alm, "train", "--log", log, "--out", run_dir, "--model", "tiny", "--epochs", "4",
         "--nuisance", nuisance, "--holdout", "0"])
    table = attribute(alm, launchers, folder, run_dir, log)
    touches = read_log(log)
    check_touches(table, touches, touches["user"])
    check_means(table, run_dir, ["ett"])
    reference = table["cluster"] == 0
    check((table["shapley"] == table["do"]).all(), "the one touch of an arm log has all the credit")
    check((table["share"] == ~reference).all(), "share of an arm log")
    for name in ("do", "ett"):
        check((table[name][reference] == 0).all() and (table[name][~reference] != 0).all(),
              f"{name} of the reference arm, and of it alone, is 0")


def documented_user_ids(alm, folder):
    """The function of docs/import.md gives the ids that an import gives."""
    with open(os.path.join(os.path.dirname(__file__), "../../docs/import.md"), encoding="utf-8") as file:
        code = file.read().split("```python\n", 1)[1].split("```", 1)[0]
    made = {}
    exec(textwrap.dedent("  " + code.lstrip()), made)
    labels = ["0", "7", "007", "-7", "+7", "anna", "Zo\u00eb", "\u0663", "7 8", str(2**63), str(2**64 - 1),
              str(2**64)]
    paths = [os.path.join(folder, name) for name in ("users.csv", "users.ini", "users")]
    with open(paths[0], "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("u", "c", "y"), *((label, "a", 0) for label in labels)])
    with open(paths[1], "w", encoding="ascii") as file:
        file.write("[file]\nform = touch\n[columns]\nuser = u\ncluster = c\noutcome = y\n")
    run([alm, "import", "--in", paths[0], "--mapping", paths[1], "--out", paths[2]])
    found = sorted(read_log(paths[2])["user"].tolist())
    check(found == sorted(made["user_id"](label) for label in labels), f"users are {found}")


def main(alm, mpiexec):
    launchers = [[]]
    if mpiexec:
        launchers += [[mpiexec, "--oversubscribe", "-n", ranks] for ranks in ("2", "3")]
    with tempfile.TemporaryDirectory(prefix="alm_attribution_") as folder:
        documented_user_ids(alm, folder)
        sequence_log(alm, launchers, folder)
        for nuisance in ("network", "tabular"):
            arm_log(alm, launchers, folder, nuisance)
    print("attributions agree")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
