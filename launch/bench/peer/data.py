"""Journeys of an alm log as the batches that model.py reads, made before any time is taken."""
import numpy
import torch

MISSING = 255
TABLE_SALT = 6  # Salt::table of kernels/base/hash.h


def mix(word):
    """Finaliser of SplitMix64, as in kernels/base/hash.h."""
    with numpy.errstate(over="ignore"):
        word = numpy.asarray(word, dtype=numpy.uint64) + numpy.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return word ^ (word >> numpy.uint64(31))


def table_row(ids, feature, rows):
    salt = (TABLE_SALT * 0x2545F4914F6CDD1D + feature) % 2**64
    return (mix(mix(ids.astype(numpy.uint64)) ^ mix(salt)) % numpy.uint64(rows)).astype(numpy.int64)


def indicators(values, columns):
    """Columns with 0 for a missing value, then one indicator for each of `columns`."""
    gaps = numpy.isnan(values)
    return numpy.concatenate([numpy.where(gaps, 0, values), gaps[:, columns]], 1).astype(numpy.float32)


def columns_with_gaps(values):
    return [column for column in range(values.shape[1]) if numpy.isnan(values[:, column]).any()]


def read_log(path, journeys):
    """The columns of the first `journeys` rows of a log file, as numpy arrays."""
    import h5py

    with h5py.File(path, "r") as file:
        begin = file["/journey/touch_begin"][: journeys + 1].astype(numpy.int64)
        if len(begin) < journeys + 1:
            raise SystemExit(f"{path}: fewer than {journeys} journeys")
        columns = {name: file[f"/journey/{name}"][:journeys] for name in ("time", "outcome", "dense", "cat")}
        for name in ("cluster", "item", "time", "dense", "mediator"):
            columns[f"touch_{name}"] = file[f"/touch/{name}"][: begin[-1]]
    columns["touch_begin"] = begin
    columns["clusters"] = int(columns["touch_cluster"].max()) + 1
    return columns


def touch_scalars(columns, journey, begin):
    """[log(1 + seconds to the window) / 10, earlier touches of the same cluster up to 8]."""
    before = numpy.maximum(columns["time"][journey] - columns["touch_time"], 0).astype(numpy.float32)
    recency = numpy.log1p(before * numpy.float32(1e-3)) * numpy.float32(0.1)
    cluster = columns["touch_cluster"]
    earlier = [int((cluster[begin[j] : t] == cluster[t]).sum()) for t, j in enumerate(journey)]
    return numpy.stack([recency, numpy.minimum(earlier, 8)], 1).astype(numpy.float32)


def packed_batch(columns, first, last, longest, table_rows, gaps):
    """Journeys [first, last) as a packed batch. gaps: columns_with_gaps of dense and of touch dense."""
    from_touch, to_touch = columns["touch_begin"][first], columns["touch_begin"][last]
    part = {
        name: values[from_touch:to_touch] if name.startswith("touch_") else values[first:last]
        for name, values in columns.items()
        if name not in ("touch_begin", "clusters")
    }
    begin = columns["touch_begin"][first : last + 1] - from_touch
    counts = numpy.diff(begin)
    journey = numpy.repeat(numpy.arange(last - first), counts)
    position = numpy.arange(to_touch - from_touch) - begin[journey]
    mediator = part["touch_mediator"]
    cats = [table_row(part["cat"][:, c], c, table_rows) for c in range(part["cat"].shape[1])]
    scalars = touch_scalars(part, journey, begin)
    batch = {
        "dense": indicators(part["dense"], gaps[0]),
        "cat_rows": numpy.stack(cats, 1),
        "item_rows": table_row(part["touch_item"], 0, table_rows),
        "cluster": part["touch_cluster"].astype(numpy.int64),
        "position": numpy.minimum(position, longest - 1),
        "touch_features": numpy.concatenate([scalars, indicators(part["touch_dense"], gaps[1])], 1),
        "mediator": numpy.where(mediator == MISSING, 0, mediator).astype(numpy.float32),
        "outcome": part["outcome"].astype(numpy.float32),
        "weight": part.get("weight", numpy.ones(last - first)).astype(numpy.float32),
        "log_touches": numpy.log1p(counts)[:, None].astype(numpy.float32),
        "journey": journey,
        "slot": journey * longest + position,
        "causal": numpy.tri(longest, longest + 1, 1, dtype=bool),
    }
    if (mediator == MISSING).any():
        batch["missing"] = mediator == MISSING
    return {name: torch.from_numpy(numpy.ascontiguousarray(values)) for name, values in batch.items()}


OF_TOUCHES = ("item_rows", "cluster", "position", "touch_features", "mediator", "missing")


def padded(batch):
    """The same batch with every journey as long as the longest may be; padding reads row 0."""
    journeys, longest = batch["outcome"].shape[0], batch["causal"].shape[0]
    out = dict(batch)
    for name in OF_TOUCHES:
        if name in batch:
            values = batch[name]
            grid = values.new_zeros(journeys * longest, *values.shape[1:]).index_copy(0, batch["slot"], values)
            out[name] = grid.view(journeys, longest, *values.shape[1:])
    mask = torch.zeros(journeys * longest).index_fill(0, batch["slot"], 1)
    out["mask"] = mask.view(journeys, longest)
    return out
