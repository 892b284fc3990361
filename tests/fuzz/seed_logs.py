"""Small valid logs that mutated_logs.py damages: ours with each codec, and those of strangers."""

import os
import subprocess

import h5py
import numpy

ROWS, CLUSTERS, START = 211, 5, 1_700_000_000_000


def columns(continuous):
    """A sequence log with every optional data set a stranger may bring, as numpy arrays."""
    random = numpy.random.default_rng(11)
    lengths = random.integers(0, 5, ROWS)
    begin = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype("u8")
    touches = int(begin[-1])
    times = START + 60_000 * numpy.arange(ROWS)
    row_of = numpy.repeat(numpy.arange(ROWS), lengths)
    place = numpy.arange(touches) - begin[row_of].astype("i8")
    touch_times = times[row_of] - 1000 * (lengths[row_of] - place)
    mediator = random.choice([0, 1, 255], touches, p=[.5, .4, .1]).astype("u1")
    outcome = random.random(ROWS)
    dense = random.normal(size=(ROWS, 2)).astype("f4")
    dense[random.random((ROWS, 2)) < .1] = numpy.nan
    return {
        "/journey/user": random.integers(0, 1 << 40, ROWS).astype("u8"),
        "/journey/time": times.astype("i8"),
        "/journey/outcome": outcome.astype("f4") if continuous else (outcome < .4).astype("u1"),
        "/journey/outcome_time": numpy.where(outcome < .4, times + 5000, -1).astype("i8"),
        "/journey/weight": random.choice([1, 2.5], ROWS).astype("f4"),
        "/journey/dense": dense,
        "/journey/cat": random.integers(0, 9, (ROWS, 1)).astype("i8"),
        "/journey/touch_begin": begin,
        "/touch/cluster": random.integers(0, CLUSTERS, touches).astype("u4"),
        "/touch/item": random.integers(0, 1 << 30, touches).astype("u8"),
        "/touch/time": touch_times.astype("i8"),
        "/touch/dense": random.normal(size=(touches, 2)).astype("f4"),
        "/touch/mediator": mediator,
        "/touch/mediator_time": numpy.where(mediator == 1, touch_times + 10, -1).astype("i8"),
        "/touch/propensity": random.uniform(.1, .9, touches).astype("f4"),
    }


def write_foreign(path, libver, continuous=False, wide=False, **storage):
    """Where values are under a checksum, names are too: texts of fixed length in a chunk. Else they are of
    variable length, as h5py makes them unasked, which HDF5 keeps in a heap without checksum."""
    with h5py.File(path, "w", libver=libver) as file:
        file.attrs["alm_schema"] = "alm-log/1"
        file.attrs["clusters"] = CLUSTERS
        file.attrs["block_rows"] = 50
        names = [f"cluster {number}" for number in range(CLUSTERS)]
        if storage.get("fletcher32"):
            file.create_dataset("/meta/cluster", data=numpy.array(names, "S"), chunks=True, fletcher32=True)
        else:
            file["/meta/cluster"] = names
        for name, values in columns(continuous).items():
            made = dict(storage)
            if "chunks" in made:
                made["chunks"] = (made["chunks"],) + values.shape[1:]
            if wide and values.dtype.kind in "ui":
                values = values.astype(">i8")
            file.create_dataset(name, data=values, **made)


class Seed:
    """A valid log of one file. `checked`: every byte of it is under a checksum, so that damage may not
    change a number; else only the warning about that can be asked for. `editable`: h5py can rewrite
    its data sets. `arms`: it is an arm log."""

    def __init__(self, name, path, checked, editable, arms=False):
        self.name, self.path, self.checked, self.editable, self.arms = (
            name, path, checked, editable, arms)
        with open(path, "rb") as file:
            self.bytes = file.read()


def make_seeds(alm, folder):
    seeds = []
    for level, codec in [("B", codec) for codec in ("none", "deflate", "zstd", "lz4")] + [
            ("A", "deflate")]:
        name = f"level_{level.lower()}_{codec}"
        out = os.path.join(folder, name)
        command = [alm, "synth", "--out", out, "--journeys", str(ROWS), "--level", level, "--codec",
                   codec, "--quiet"]
        subprocess.run(command + (["--clusters", "7"] if level == "B" else []), check=True,
                       timeout=300)
        (part,) = [entry for entry in os.listdir(out) if entry.endswith(".h5")]
        seeds.append(Seed(name, os.path.join(out, part), True, codec in ("none", "deflate"),
                          level == "A"))
    for name, checked, options in (
        ("values_checked", True, dict(libver="latest", continuous=True, chunks=64, shuffle=True,
                                      compression="gzip", fletcher32=True)),
        ("old_contiguous", False, dict(libver="earliest")),
        ("old_chunked", False, dict(libver="earliest", chunks=64, compression="gzip", shuffle=True)),
        ("wide_values", False, dict(libver="latest", continuous=True, wide=True)),
    ):
        path = os.path.join(folder, name + ".h5")
        write_foreign(path, **options)
        seeds.append(Seed(name, path, checked, True))
    return seeds
