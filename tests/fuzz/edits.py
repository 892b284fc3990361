"""Values of a log edited through h5py, so that every checksum is right and only the content is wrong.
Each edit knows what has to come of it."""

import h5py
import numpy

REFUSED, SAME = "refused", "same"


def put(path, value):
    """One value of a data set, of a random row, becomes `value`."""
    def edit(file, draws):
        values = file[path]
        row = draws.below(len(values))
        if values.ndim == 2:
            values[row, draws.below(values.shape[1])] = value
        else:
            values[row] = value
        return path
    return edit


def attribute(name, value):
    def edit(file, draws):
        file.attrs[name] = value
        return name
    return edit


def without_attribute(name):
    def edit(file, draws):
        del file.attrs[name]
        return name
    return edit


def replace(path, make):
    """The data set made anew of its values by `make(values, draws)`."""
    def edit(file, draws):
        values = file[path][...]
        del file[path]
        made = make(values, draws)
        if made is not None:
            file.create_dataset(path, data=made)
        return path
    return edit


def store_otherwise(path, **options):
    """The same values in another layout or a wider type."""
    def edit(file, draws):
        values = file[path][...]
        del file[path]
        file.create_dataset(path, data=values, **options)
        return path
    return edit


def offsets(change):
    def edit(file, draws):
        begin = file["/journey/touch_begin"]
        values = begin[...].astype("i8")
        change(values, 1 + draws.below(len(values) - 2))
        begin[...] = values.astype("u8")
        return "/journey/touch_begin"
    return edit


def fall(values, row):
    values[row] = values[row + 1] + 1


def far(values, row):
    values[row] = 1 << 40


def huge(values, row):
    values[row] = -1  # 2^64 - 1 as it is stored


def late_start(values, row):
    values[0] = 1


def early_end(values, row):
    values[-1] -= 1


def late_touch(file, draws):
    """A touch inside its outcome window."""
    values = file["/touch/time"]
    values[draws.below(len(values))] = int(file["/journey/time"][...].max()) + 1
    return "/touch/time"


def early_mediator(file, draws):
    values = file["/touch/mediator_time"]
    values[draws.below(len(values))] = 5
    return "/touch/mediator_time"


def extra_set(file, draws):
    file.create_dataset("/extra/notes", data=numpy.arange(3))
    return "/extra"


def past_clusters(file, draws):
    return put("/touch/cluster", int(file.attrs["clusters"]))(file, draws)


def past_reference(file, draws):
    return attribute("reference_cluster", int(file.attrs["clusters"]))(file, draws)


# (edit, what comes of it, data sets it needs)
EDITS = [
    (past_clusters, REFUSED, ("/touch/cluster",)),
    (put("/touch/cluster", 0xffffffff), REFUSED, ("/touch/cluster",)),
    (put("/journey/weight", -1), REFUSED, ("/journey/weight",)),
    (put("/journey/weight", numpy.nan), REFUSED, ("/journey/weight",)),
    (put("/journey/dense", numpy.inf), REFUSED, ("/journey/dense",)),
    (put("/touch/dense", -numpy.inf), REFUSED, ("/touch/dense",)),
    (put("/touch/mediator", 7), REFUSED, ("/touch/mediator",)),
    (put("/touch/propensity", 1.5), REFUSED, ("/touch/propensity",)),
    (put("/journey/outcome", 2), REFUSED, ("binary",)),
    (put("/journey/outcome", numpy.nan), REFUSED, ("continuous",)),
    (offsets(fall), REFUSED, ()),
    (offsets(far), REFUSED, ()),
    (offsets(huge), REFUSED, ()),
    (offsets(late_start), REFUSED, ()),
    (offsets(early_end), REFUSED, ()),
    (late_touch, REFUSED, ("/touch/time", "/journey/time")),
    (early_mediator, REFUSED, ("/touch/mediator_time", "/touch/time")),
    (attribute("clusters", 0), REFUSED, ()),
    (attribute("clusters", -3), REFUSED, ()),
    (attribute("clusters", "many"), REFUSED, ()),
    (attribute("clusters", [5, 5]), REFUSED, ()),
    (attribute("block_rows", -1), REFUSED, ()),
    (attribute("alm_schema", "alm-log/0"), REFUSED, ()),
    (attribute("alm_schema", 1), REFUSED, ()),
    (past_reference, REFUSED, ()),
    (without_attribute("clusters"), REFUSED, ()),
    (without_attribute("alm_schema"), REFUSED, ()),
    (replace("/journey/user", lambda v, d: None), REFUSED, ()),
    (replace("/touch/cluster", lambda v, d: None), REFUSED, ()),
    (replace("/journey/touch_begin", lambda v, d: None), REFUSED, ()),
    (replace("/touch/cluster", lambda v, d: v.astype("f4")), REFUSED, ()),
    (replace("/touch/cluster", lambda v, d: v[:-1]), REFUSED, ()),
    (replace("/touch/cluster", lambda v, d: v.reshape(1, -1, 1)), REFUSED, ()),
    (replace("/journey/outcome", lambda v, d: v.reshape(-1, 1)), REFUSED, ()),
    (replace("/journey/outcome", lambda v, d: v.astype("S3")), REFUSED, ()),
    (replace("/journey/touch_begin", lambda v, d: v[:0]), REFUSED, ()),
    (replace("/journey/user", lambda v, d: v.astype("f8")), REFUSED, ()),
    (extra_set, SAME, ()),
    (attribute("made_by", "somebody"), SAME, ()),
    (store_otherwise("/journey/user", chunks=(37,), compression="gzip", fletcher32=True), SAME, ()),
    (store_otherwise("/touch/cluster", chunks=(19,), shuffle=True, compression="gzip"), SAME, ()),
    (store_otherwise("/touch/cluster", dtype=">i8"), SAME, ()),
    (store_otherwise("/journey/touch_begin", dtype="i4", maxshape=(None,), fletcher32=True), SAME,
     ()),
]


def fits(needs, file):
    kind = "continuous" if file["/journey/outcome"].dtype.kind == "f" else "binary"
    return all(need == kind or need in file for need in needs)


def edit_file(path, draws):
    """Edits the log at `path`; returns (what was edited, REFUSED or SAME)."""
    with h5py.File(path, "r+") as file:
        choices = [entry for entry in EDITS if fits(entry[2], file)]
        edit, outcome, _ = draws.pick(choices)
        return f"edit of {edit(file, draws)}", outcome
