"""Logs seen from plain h5py: `write DIR` makes logs after the table of contract 2 as a stranger would,
`read FILE` opens one of ours with h5py and h5dump and compares it with the raw columns beside it."""

import os
import subprocess
import sys

import h5py
import numpy as np

N = 701


def columns():
    """Columns by a rule that the C++ side repeats."""
    row = np.arange(N)
    count = row % 4
    begin = np.concatenate([[0], np.cumsum(count)])
    touch = np.arange(begin[-1])
    return {
        "/journey/user": row * 7 + 1,
        "/journey/outcome": row % 5 == 0,
        "/journey/touch_begin": begin,
        "/journey/dense": np.stack([row / 8.0, -row], axis=1),
        "/touch/cluster": touch % 10,
        "/touch/mediator": touch % 2,
    }


def types(name):
    """Narrow and wide types that every value fits."""
    return {
        "table": dict(user="<u8", outcome="u1", touch_begin="<u8", dense="<f4", cluster="<u4", mediator="u1"),
        "wide": dict(user="<i8", outcome="<i4", touch_begin="<i8", dense="<f8", cluster="<i8", mediator="i1"),
        "odd": dict(user="<i4", outcome="i1", touch_begin="<u4", dense=">f4", cluster=">i4", mediator="<i2"),
    }[name]


def write(folder):
    layouts = {
        "contiguous": {},
        "gzip": dict(compression="gzip", shuffle=True),
        "tiles": dict(compression="gzip", chunks="narrow"),
        "checked": dict(compression="gzip", shuffle=True, fletcher32=True, chunks="rows"),
        "plain_checked": dict(fletcher32=True, chunks="rows", maxshape="open"),
        "lzf": dict(compression="lzf"),
    }
    for kinds in ("table", "wide", "odd"):
        for layout, options in layouts.items():
            for libver in ("earliest", "latest"):
                with h5py.File(f"{folder}/{kinds}-{layout}-{libver}.h5", "w", libver=libver) as file:
                    file.attrs["alm_schema"] = "alm-log/1"
                    file.attrs["clusters"] = 10
                    file["/meta/dense"] = ["first", "zweite Größe"]
                    for path, values in columns().items():
                        values = values.astype(types(kinds)[path.split("/")[-1]])
                        made = dict(options)
                        if made.get("chunks") == "rows":
                            made["chunks"] = (100,) + values.shape[1:]
                        if made.get("chunks") == "narrow":
                            made["chunks"] = (100,) + (1,) * (values.ndim - 1)
                        if made.get("maxshape") == "open":
                            made["maxshape"] = (None,) + values.shape[1:]
                        file.create_dataset(path, data=values, **made)
    with h5py.File(f"{folder}/filter.h5", "w") as file:
        file.attrs["alm_schema"] = "alm-log/1"
        file.attrs["clusters"] = 10
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((100,))
        creation.set_filter(32013, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((N,))
        group = file.create_group("journey")
        h5py.h5d.create(group.id, b"user", h5py.h5t.STD_U64LE, space, creation)
    with h5py.File(f"{folder}/unwritten.h5", "w") as file:
        file.attrs["alm_schema"] = "alm-log/1"
        file.attrs["clusters"] = 10
        file.create_dataset("/journey/user", shape=(N,), dtype="<u8", chunks=(100,))[150:] = 1


def read(path):
    """Every raw column FILE.<slash as dot> must equal the data set of that name."""
    raw = {n: n[len(os.path.basename(path)) + 1:].replace(".", "/") for n in os.listdir(os.path.dirname(path))
           if n.startswith(os.path.basename(path) + ".journey") or n.startswith(os.path.basename(path) + ".touch")}
    assert len(raw) > 10, raw
    with h5py.File(path, "r") as file:
        assert file.attrs["alm_schema"] in (b"alm-log/1", "alm-log/1"), file.attrs["alm_schema"]
        assert file.attrs["clusters"] == 7
        assert [n.decode() for n in file["/meta/dense"][:]] == ["age", "größe", ""]
        for name, data_set in raw.items():
            values = file[data_set]
            assert values.compression == "gzip" and values.fletcher32, data_set
            mostly_one_value = data_set.split("/")[-1] in ("outcome_time", "mediator_time", "match")
            assert values.shuffle == (values.dtype.itemsize > 1 and not mostly_one_value), data_set
            assert values.compression_opts == (3 if values.dtype.itemsize == 1 else 1), data_set
            with open(os.path.join(os.path.dirname(path), name), "rb") as expected:
                assert values[...].tobytes() == expected.read(), data_set
        users = file["/journey/user"][:5]
    dump = subprocess.run(["h5dump", "-d", "/journey/user", "-c", "5", "-y", "-w", "1", path],
                          capture_output=True, text=True, check=True).stdout
    body = dump.split("DATA {")[2 if dump.count("DATA {") > 1 else 1].split("}")[0]
    assert [int(word) for word in body.replace(",", " ").split()] == [int(u) for u in users], dump
    subprocess.run(["h5dump", "-H", path], capture_output=True, check=True)


{"write": write, "read": read}[sys.argv[1]](sys.argv[2])
