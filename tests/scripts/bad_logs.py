"""usage: bad_logs.py ALM

Every way in which a log can be wrong, in one table: how it is made, and what `alm inspect` must say of
it: exit code 1 and one line with file, data set, row and remedy. Logs that are only odd must pass, with
a warning.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

N = 40
INFINITY, NAN = float("inf"), float("nan")


def columns():
    """A valid log of every column: journey i has i % 4 touches."""
    count = np.arange(N) % 4
    begin = np.concatenate([[0], np.cumsum(count)]).astype("u8")
    touches = int(begin[-1])
    start = 1_700_000_000_000 + 1000 * np.arange(N)
    position = np.concatenate([np.arange(c) for c in count])
    when = np.repeat(start, count) - 100 + position
    upload = (np.arange(N) % 3 == 0).astype("u1")
    return {
        "/journey/user": np.arange(N).astype("u8") + 7,
        "/journey/outcome": upload,
        "/journey/time": start,
        "/journey/outcome_time": np.where(upload == 1, start + 500, -1),
        "/journey/weight": np.ones(N, "f4"),
        "/journey/dense": np.arange(2 * N, dtype="f4").reshape(N, 2),
        "/journey/touch_begin": begin,
        "/touch/cluster": (np.arange(touches) % 3).astype("u4"),
        "/touch/time": when,
        "/touch/mediator": (np.arange(touches) % 2).astype("u1"),
        "/touch/mediator_time": np.where(np.arange(touches) % 2 == 1, when + 10, -1),
        "/touch/proxy": np.zeros((touches, 2), "u1"),
        "/touch/match": np.full(touches, NAN, "f4"),
        "/touch/propensity": np.full(touches, .5, "f4"),
        "/touch/randomised": np.ones(touches, "u1"),
    }


def write(path, change=None, attributes=None, finish=None, libver="latest", log=None, **options):
    """Writes the valid log after `change(columns)`; `finish(file)` sees the open file last."""
    log = columns() if log is None else log
    if change:
        change(log)
    kept = {"alm_schema": "alm-log/1", "clusters": 3, "block_rows": 16, **(attributes or {})}
    with h5py.File(path, "w", libver=libver) as file:
        for name, value in kept.items():
            if value is not None:
                file.attrs[name] = value
        for name, values in log.items():
            made = dict(fletcher32=True, compression="gzip", chunks=True) if len(values) else {}
            file.create_dataset(name, data=values, **{**made, **options})
        if finish:
            finish(file)


def put(name, row, value):
    """A change: that value in that row (of the flattened data set)."""
    return lambda log: log[name].reshape(-1).__setitem__(row, value)


def swap(name, values):
    return lambda log: log.__setitem__(name, values)


def drop(name):
    return lambda log: log.pop(name)


def replace(name, make):
    """Finish: `name` is taken away and made anew by make(file)."""
    def finish(file):
        del file[name]
        make(file)
    return finish


def raw_filter(number):
    def make(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((N,))
        creation.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        h5py.h5d.create(file["journey"].id, b"user", h5py.h5t.STD_U64LE, h5py.h5s.create_simple((N,)),
                        creation)
    return replace("/journey/user", make)


def virtual(file):
    layout = h5py.VirtualLayout((N,), "u8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "/user", (N,))
    file.create_virtual_dataset("/journey/user", layout)


def external(file):
    file.create_dataset("/journey/user", shape=(N,), dtype="u8",
                        external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])


def flip(path, part):
    """A byte of the file changes, at that part of its length."""
    with open(path, "r+b") as file:
        file.seek(int(os.path.getsize(path) * part))
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 0x40]))


def flip_in(name):
    """A byte of the first chunk of that data set changes."""
    def make(path):
        write(path)
        with h5py.File(path) as file:
            at = file[name].id.get_chunk_info(0).byte_offset
        flip(path, (at + 1.5) / os.path.getsize(path))
    return make


def cut(path):
    write(path)
    os.truncate(path, os.path.getsize(path) // 2)


def text(content):
    def make(path):
        with open(path, "wb") as file:
            file.write(content)
    return make


def bad(*changes, **options):
    def make(path):
        def change(log):
            for one in changes:
                one(log)
        write(path, change, **options)
    return make


def forged(path):
    """Claims 2^44 rows that HDF5 alone could read: their bytes are the other way round."""
    rows, claimed = 1237, 1 << 44
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        file.attrs.update({"alm_schema": "alm-log/1", "clusters": 3, "block_rows": 1})
        file["/journey/user"] = np.arange(rows, dtype=">u4")
        file["/journey/outcome"] = np.zeros(rows, ">u2")
        file["/journey/touch_begin"] = np.zeros(rows + 1, ">i4")
        file["/touch/cluster"] = np.zeros(rows, ">u4")
    with open(path, "rb") as file:
        content = file.read()
    for number, more in ((rows, claimed), (rows + 1, claimed + 1)):
        for size in (1, 2, 4):
            content = content.replace(struct.pack("<Q", size * number), struct.pack("<Q", size * more))
    with open(path, "wb") as file:
        file.write(content)


T = int(columns()["/journey/touch_begin"][-1])
BEGIN = columns()["/journey/touch_begin"]
FIRST = int(BEGIN[3])  # journey 3 owns three touches, from here

# name, how it is made, words of the one line
FILES = [
    ("empty", text(b""), ["empty (0 bytes)"]),
    ("csv", text(b"user,outcome\n1,0\n" * 100), ["no HDF5 file", "alm import"]),
    ("cut", cut, ["cut off or damaged (truncated file", "bring it again"]),
    ("structure", lambda p: (write(p), flip(p, 12 / os.path.getsize(p))), ["damaged"]),
    ("chunk", flip_in("/touch/cluster"), ["/touch/cluster", "rows 0 to", "damaged", "bring it again"]),
    ("forged", forged, ["/journey/user", "more rows than fit into the file"]),
    ("no schema", bad(attributes={"alm_schema": None}), ["alm_schema is missing", "docs/data_format.md"]),
    ("other schema", bad(attributes={"alm_schema": "alm-log/9"}), ["'alm-log/9'"]),
    ("schema of noise", bad(attributes={"alm_schema": np.bytes_(b"alm\n\xff\x1b")}), ["'alm?\ufffd?'"]),
    ("no clusters", bad(attributes={"clusters": None}), ["clusters is missing"]),
    ("text clusters", bad(attributes={"clusters": "3"}), ["clusters is not one integer"]),
    ("huge clusters", bad(attributes={"clusters": 1 << 31}), ["2147483648", "1 to 16777216"]),
    ("zero clusters", bad(attributes={"clusters": 0}), ["clusters is 0"]),
    ("negative block_rows", bad(attributes={"block_rows": -1}), ["block_rows is negative"]),
    ("reference", bad(attributes={"reference_cluster": 3}), ["reference_cluster is 3", "0 to 2"]),
    ("missing user", bad(drop("/journey/user")), ["/journey/user", "missing", "docs/data_format.md"]),
    ("misspelt", bad(lambda log: log.__setitem__("/touch/clusters", log.pop("/touch/cluster"))),
     ["/touch/cluster", "missing", "/touch/clusters?"]),
    ("text users", bad(swap("/journey/user", np.array([b"u%d" % i for i in range(N)]))),
     ["/journey/user", "texts", "alm import"]),
    ("bool", bad(swap("/journey/outcome", np.zeros(N, bool))), ["/journey/outcome", "bool", "u1"]),
    ("float users", bad(swap("/journey/user", np.arange(N, dtype="f8"))), ["/journey/user", "floats"]),
    ("integer dense", bad(swap("/journey/dense", np.zeros((N, 2), "i4"))),
     ["/journey/dense", "integers"]),
    ("records", bad(swap("/journey/user", np.zeros(N, [("a", "u4"), ("b", "u4")]))),
     ["/journey/user", "records"]),
    ("matrix", bad(swap("/journey/user", np.zeros((N, 2), "u8"))), ["/journey/user", "2 dimensions"]),
    ("vector", bad(swap("/journey/dense", np.zeros(N, "f4"))), ["/journey/dense", "1 dimension"]),
    ("cube", bad(swap("/journey/dense", np.zeros((N, 2, 2), "f4"))), ["/journey/dense", "3 dimensions"]),
    ("rows", bad(swap("/journey/outcome", np.zeros(N + 1, "u1"))),
     ["/journey/outcome", f"{N + 1} rows", str(N)]),
    ("offsets rows", bad(swap("/journey/touch_begin", BEGIN[:-1])),
     ["/journey/touch_begin", f"{N} rows", str(N + 1)]),
    ("names", bad(finish=lambda f: f.create_dataset("/meta/cluster", data=["a", "b"])),
     ["/meta/cluster", "2 names for 3"]),
    ("unknown filter", bad(finish=raw_filter(32013)),
     ["/journey/user", "filter 32013 (zfp)", "not installed", "h5repack"]),
    ("lzf", bad(fletcher32=False, compression="lzf"), ["filter 32000 (lzf)", "h5repack"]),
    ("nameless filter", bad(finish=raw_filter(40123)), ["/journey/user", "filter 40123", "h5repack"]),
    ("virtual", bad(finish=replace("/journey/user", virtual)), ["/journey/user", "virtual", "whole"]),
    ("external", bad(finish=replace("/journey/user", external)), ["/journey/user", "another file"]),
    ("external link", bad(finish=replace(
        "/journey/user", lambda f: f.__setitem__("/journey/user", h5py.ExternalLink("other.h5", "/x")))),
     ["/journey/user", "another file", "h5repack"]),
    ("dangling link", bad(finish=replace(
        "/journey/user", lambda f: f.__setitem__("/journey/user", h5py.SoftLink("/nowhere")))),
     ["/journey/user", "leads nowhere"]),
    ("truth", bad(finish=lambda f: f.create_dataset("/truth/p_do", data=np.zeros(N, "f4"))),
     ["/truth/", "go together"]),
    ("first offset", bad(put("/journey/touch_begin", 0, 1)),
     ["/journey/touch_begin", "row 0", "first offset must be 0"]),
    ("last offset", bad(put("/journey/touch_begin", N, T - 1)),
     ["/journey/touch_begin", f"row {N}", f"last offset must be {T}"]),
    ("zero rows", bad(log={"/journey/user": np.zeros(0, "u8"), "/journey/outcome": np.zeros(0, "u1"),
                           "/journey/touch_begin": np.zeros(1, "u8"),
                           "/touch/cluster": np.zeros(0, "u4")}), ["holds no journey"]),
    ("zero weights", bad(swap("/journey/weight", np.zeros(N, "f4"))), ["/journey/weight", "0 in every row"]),
]

# name, change, kind, words of the example: `alm inspect` counts these and shows the first ones
ROWS = [
    ("offsets back", put("/journey/touch_begin", 6, 2), "offsets go back", ["row 5"]),
    ("offsets past", put("/journey/touch_begin", 6, 10 ** 6), "past the last touch", ["row 5", "1000000"]),
    ("outcome", put("/journey/outcome", 4, 2), "/journey/outcome: not 0 or 1", ["row 4", "2"]),
    ("outcome NaN", lambda log: (swap("/journey/outcome", np.arange(N, dtype="f4"))(log),
                                 put("/journey/outcome", 4, NAN)(log)),
     "/journey/outcome: not finite", ["row 4", "nan"]),
    ("weight negative", put("/journey/weight", 4, -1), "/journey/weight: not a weight", ["row 4", "-1"]),
    ("weight NaN", put("/journey/weight", 4, NAN), "/journey/weight: not a weight", ["row 4", "nan"]),
    ("weight infinite", put("/journey/weight", 4, INFINITY), "/journey/weight: not a weight", ["row 4"]),
    ("weight too large", put("/journey/weight", 4, 1e30), "/journey/weight: not a weight", ["row 4", "divide"]),
    ("dense infinite", put("/journey/dense", 9, -INFINITY), "/journey/dense: infinite", ["row 4", "-inf"]),
    ("cluster", put("/touch/cluster", FIRST, 3), "/touch/cluster: not a cluster",
     ["row 3", f"touch {FIRST}", "0 to 2"]),
    ("cluster wide", lambda log: (swap("/touch/cluster", log["/touch/cluster"].astype("i8"))(log),
                                  put("/touch/cluster", FIRST, -1)(log)),
     "/touch/cluster: does not fit its type", ["row 3"]),
    ("mediator", put("/touch/mediator", FIRST, 7), "/touch/mediator: not 0, 1 or 255", ["row 3"]),
    ("proxy", put("/touch/proxy", 2 * FIRST + 1, 2), "/touch/proxy: not 0, 1 or 255", ["row 3"]),
    ("randomised", put("/touch/randomised", FIRST, 255), "/touch/randomised: not 0 or 1", ["row 3"]),
    ("match", put("/touch/match", FIRST, INFINITY), "/touch/match: infinite", ["row 3"]),
    ("propensity", put("/touch/propensity", FIRST, 1.5), "/touch/propensity: not a probability", ["row 3"]),
    ("touch late", put("/touch/time", FIRST + 2, columns()["/journey/time"][3]),
     "/touch/time: not before the outcome window", ["row 3", f"touch {FIRST + 2}"]),
    ("touch back", put("/touch/time", FIRST + 1, 1), "/touch/time: goes back", ["row 3"]),
    ("mediator early", put("/touch/mediator_time", FIRST, 1), "/touch/mediator_time: before its touch",
     ["row 3"]),
    ("mediator late", put("/touch/mediator_time", FIRST, 1_800_000_000_000),
     "/touch/mediator_time: after the upload", ["row 3"]),
]

# name, how it is made, words of the warning ("" none)
ODD = [
    ("plain", bad(), ""),
    ("no block_rows", bad(attributes={"block_rows": None}), ""),
    ("names of noise", bad(finish=lambda f: f.create_dataset(
        "/meta/cluster", data=np.array([b"a\xff\n", b"b", b"c"]), chunks=(3,), fletcher32=True)), ""),
    ("names unchecked", bad(finish=lambda f: f.create_dataset(
        "/meta/cluster", data=np.array([b"a", b"b", b"c"]))), "no checksum over /meta/cluster: "),
    ("names of variable length", bad(finish=lambda f: f.create_dataset(
        "/meta/cluster", data=["a", "b", "c"], dtype=h5py.string_dtype())),
     "names as texts of a fixed length"),
    ("misspelt optional", bad(finish=lambda f: f.create_dataset("/touch/mediatr", data=np.zeros(T, "u1"))),
     "/touch/mediatr is not one that a log has, so nothing reads it; was /touch/mediator meant?"),
    ("own column", bad(finish=lambda f: f.create_dataset("/journey/qqqqqqqq", data=np.zeros(N))),
     "/journey/qqqqqqqq is not one"),
    ("misspelt attribute", bad(attributes={"reference_clusters": 1}),
     "reference_clusters is not one that a log has; was reference_cluster meant?"),
    ("old format", bad(libver="earliest"), "its structure (HDF5's old format)"),
    ("no checksum", bad(fletcher32=False, compression=None), "no checksum over /journey/touch_begin"),
    ("contiguous", bad(fletcher32=False, compression=None, chunks=None), "h5repack --latest"),
    ("soft link", bad(finish=lambda f: (f.move("/journey/user", "/ids"),
                                        f.__setitem__("/journey/user", h5py.SoftLink("/ids")))), ""),
    ("scale-offset", bad(finish=lambda f: (f.__delitem__("/journey/user"), f.create_dataset(
        "/journey/user", data=columns()["/journey/user"], scaleoffset=0, chunks=(N,)))),
     "only HDF5 reads"),
]


class Runner:
    def __init__(self, alm):
        self.alm = alm
        self.faults = self.checks = 0

    def run(self, *arguments):
        done = subprocess.run([self.alm, "inspect", "--quiet", *arguments], capture_output=True, text=True,
                              timeout=100)
        return done.returncode, done.stdout, done.stderr

    def check(self, name, holds, found):
        self.checks += 1
        if not holds:
            self.faults += 1
            print(f"FAILED: {name}: {found}")

    def refused(self, name, path, words, *arguments):
        """Exit code 1, and one line that names the file and holds the words."""
        code, out, said = self.run("--log", *(path if isinstance(path, list) else [path]), *arguments)
        named = path[-1] if isinstance(path, list) else path
        lines = [line for line in (out + said).split("\n") if all(word in line for word in words)]
        self.check(name, code == 1 and lines, f"exit code {code}, wanted {words}: {said or out[-400:]}")
        if lines and code == 1 and "not valid" not in out:
            self.check(name, named in lines[0] and said.count("\n") == 1, f"not one line with the file: {said}")


def files(runner, folder):
    for name, make, words in FILES:
        path = os.path.join(folder, name.replace(" ", "_") + ".h5")
        make(path)
        runner.refused(name, path, words)
    # The same words of the training's own first look.
    path = os.path.join(folder, "misspelt.h5")
    done = subprocess.run([runner.alm, "train", "--quiet", "--log", path, "--out", folder + "/run"],
                          capture_output=True, text=True, timeout=100)
    runner.check("train refuses alike", done.returncode == 1 and "/touch/clusters?" in done.stderr, done.stderr)


def rows(runner, folder):
    path = os.path.join(folder, "rows.h5")
    for name, change, kind, words in ROWS:
        write(path, change)
        code, out, said = runner.run("--log", path)
        shown = "\n".join(line for line in out.split("\n") if path in line)
        runner.check(name, code == 1 and kind in out and all(word in shown for word in words),
                     f"exit code {code}, wanted {kind} {words}: {said}{out[-900:]}")
        code, out, said = runner.run("--log", path, "--on-bad-row", "skip")
        runner.check(name, code == 0 and "valid without the bad rows" in out, f"skip gives {code}: {said}")


def odd(runner, folder):
    for name, make, words in ODD:
        path = os.path.join(folder, "odd_" + name.replace(" ", "_") + ".h5")
        make(path)
        code, out, said = runner.run("--log", path, "--verify")
        runner.check(name, code == 0 and "The log is valid." in out, f"exit code {code}: {said}{out[-400:]}")
        lines = [line for line in said.split("\n") if line]
        runner.check(name, words in said and bool(lines) == (words != "") and len(lines) <= 2,
                     f"wanted '{words}': {said}")


def several(runner, folder):
    """What is wrong between files, and with folders."""
    def fresh(name):
        path = os.path.join(folder, name)
        os.mkdir(path)
        return path

    home = fresh("mixed")
    first, second = os.path.join(home, "a.h5"), os.path.join(home, "b.h5")
    for name, change, attributes, words in (
        ("clusters", None, {"clusters": 4}, ["a.h5", "clusters is 4, not 3"]),
        ("columns", drop("/journey/weight"), None, ["/journey/weight is absent, not 1 column"]),
        ("width", swap("/journey/dense", np.zeros((N, 3), "f4")), None, ["3 columns, not 2"]),
        ("outcome", swap("/journey/outcome", np.zeros(N, "f4")), None, ["continuous", "binary"]),
    ):
        write(first)
        write(second, change, attributes)
        runner.refused("mixed " + name, [home], ["b.h5", *words])
    write(first)
    shutil.copy(first, second)
    runner.refused("same bytes", [home], ["b.h5", "same bytes as", "a.h5", "leave one"])
    runner.refused("same path", [first, first], ["named twice"])
    os.remove(second)
    os.symlink(first, second)
    runner.refused("link to the same file", [home], ["b.h5", "same file as", "a.h5"])
    os.remove(first)
    runner.refused("dangling file link", second, ["link", "target"])
    os.remove(second)
    runner.refused("no file in it", [home], ["no *.h5 file"])
    write(os.path.join(home, "log.hdf5"))
    runner.refused("other ending", [home], ["no *.h5 file", "log.hdf5"])
    runner.refused("nothing there", os.path.join(folder, "nothing*.h5"), ["no such file, directory or pattern"])
    os.mkfifo(os.path.join(home, "pipe.h5"))
    runner.refused("pipe", os.path.join(home, "pipe.h5"), ["regular file"])
    good = os.path.join(fresh("linked"), "real.h5")
    write(good)
    os.symlink(good, os.path.join(folder, "link.h5"))
    code, _, said = runner.run("--log", os.path.join(folder, "link.h5"))
    runner.check("a link to a log", code == 0, said)


def permissions(runner, folder):
    """As another user where the tests are run by root."""
    path = os.path.join(folder, "secret.h5")
    locked = os.path.join(folder, "locked")
    os.mkdir(locked)
    write(path)
    os.chmod(path, 0)
    os.chmod(locked, 0)
    os.chmod(folder, 0o755)
    nobody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    for name, target, words in (("file", path, ["secret.h5", "Permission denied"]),
                                ("directory", locked, ["locked", "Permission denied"])):
        try:
            done = subprocess.run([runner.alm, "inspect", "--log", target], capture_output=True, text=True,
                                  timeout=100, **nobody)
        except PermissionError:
            print("the program lies where another user cannot reach it: permissions not tried")
            break
        runner.check(f"unreadable {name}", done.returncode == 1 and all(w in done.stderr for w in words),
                     done.stderr)
    os.chmod(locked, 0o755)


def skipping(runner, folder):
    """--on-bad-row skip counts by kind and goes on, in every command alike."""
    def alm(*arguments):
        return subprocess.run([runner.alm, *arguments], capture_output=True, text=True, timeout=200)

    log, run = os.path.join(folder, "log"), os.path.join(folder, "run")
    alm("synth", "--out", log, "--journeys", "4000", "--clusters", "5", "--quiet")
    with h5py.File(os.path.join(log, "part-00000.h5"), "r+") as file:
        begin = file["/journey/touch_begin"][:]
        file["/journey/outcome"][3] = 2
        for row in (3, 7, 8):
            file["/touch/cluster"][begin[row]] = 99
        file["/meta/cluster"] = np.array([b"a\xff\n", b"b", b"c", b"d", b"e"])  # no UTF-8
    wanted = "skipped 3 bad rows (1 /journey/outcome: not 0 or 1, 3 /touch/cluster: not a cluster); the first: "
    small = ["--model", "tiny", "--epochs", "1", "--batch", "256"]
    done = alm("train", "--log", log, "--out", run, *small)
    runner.check("train fails", done.returncode == 1 and "row 3" in done.stderr
                 and "--on-bad-row skip leaves such rows out" in done.stderr, done.stderr)
    shutil.rmtree(run, ignore_errors=True)
    for name, arguments in (
        ("train", ["--out", run, *small]),
        ("evaluate", ["--run", run, "--out", run + ".json"]),
        ("attribute", ["--run", run, "--out", run + ".csv"]),
    ):
        done = alm(name, "--log", log, "--on-bad-row", "skip", *arguments)
        runner.check(name + " skips", done.returncode == 0 and wanted in done.stderr, done.stderr)


def main(alm):
    runner = Runner(alm)
    with tempfile.TemporaryDirectory(prefix="alm_bad_logs_") as folder:
        for part in (files, rows, odd, several, permissions, skipping):
            home = os.path.join(folder, part.__name__)
            os.mkdir(home)
            os.chmod(folder, 0o755)
            part(runner, home)
    print(f"{runner.faults} of {runner.checks} checks failed")
    return 1 if runner.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
