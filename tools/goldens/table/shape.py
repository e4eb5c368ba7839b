"""Ops that move elements."""
import numpy as np

from registry import golden


@golden("reshape")
def reshape(ins, attrs):
    return ins[0].reshape(attrs["dims"] if "dims" in attrs else ins[1].tolist())


@golden("transpose")
def transpose(ins, attrs):
    permutation = attrs.get("permutation") or list(range(ins[0].ndim))[::-1]
    return np.transpose(ins[0], permutation)


@golden("broadcast_to")
def broadcast_to(ins, attrs):
    return np.broadcast_to(ins[0], attrs["dims"] if "dims" in attrs else tuple(ins[1]))


@golden("concat")
def concat(ins, attrs):
    return np.concatenate(ins, axis=attrs["axis"])


@golden("stack")
def stack(ins, attrs):
    return np.stack(ins, axis=attrs["axis"])


@golden("split")
def split(ins, attrs):
    return list(np.split(ins[0], np.cumsum(attrs["sizes"])[:-1], axis=attrs["axis"]))


@golden("slice")
def slice_(ins, attrs):
    """Python's slices on the named axes (all of them when none is named): negative bounds count from the end."""
    x = ins[0]
    starts, ends = attrs["starts"], attrs["limits"] if "limits" in attrs else attrs["ends"]
    axes = attrs.get("axes") or list(range(len(starts)))
    steps = attrs.get("strides") or attrs.get("steps") or [1] * len(starts)
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps):
        size = x.shape[axis]
        where[axis] = slice(start, None if step < 0 and end < -size else end, step)
    return x[tuple(where)]


@golden("pad")
def pad(ins, attrs):
    x = ins[0]
    low, high = attrs["low"], attrs["high"]
    mode = attrs.get("mode", "constant")
    # A negative amount cuts.
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(low, high, x.shape))
    widths = [(max(a, 0), max(b, 0)) for a, b in zip(low, high)]
    if mode == "constant":
        fill = ins[1] if len(ins) > 1 and ins[1] is not None else attrs.get("value", 0)
        return np.pad(x[cut], widths, constant_values=fill)
    return np.pad(x[cut], widths, mode={"reflect": "reflect", "symmetric": "symmetric", "edge": "edge", "wrap": "wrap", "circular": "wrap"}[mode])


@golden("gather")
def gather(ins, attrs):
    x, index = ins
    axis, batch = attrs.get("axis", 0) % x.ndim, attrs.get("batch_dims", 0)
    index = np.where(index < 0, index + x.shape[axis], index)
    if not batch:
        return np.take(x, index, axis=axis)
    rows = [np.take(x[i], index[i], axis=axis - batch) for i in np.ndindex(x.shape[:batch])]
    return np.stack(rows).reshape(x.shape[:batch] + rows[0].shape)


@golden("gather_nd")
def gather_nd(ins, attrs):
    x, index = ins
    batch = attrs.get("batch_dims", 0)
    if batch:
        rows = [gather_nd([x[i], index[i]], {}) for i in np.ndindex(x.shape[:batch])]
        return np.stack(rows).reshape(x.shape[:batch] + rows[0].shape)
    return x[tuple(np.moveaxis(index, -1, 0))]


@golden("gather_elements", "take_along_axis")
def gather_elements(ins, attrs):
    return np.take_along_axis(ins[0], ins[1].astype(np.int64), attrs["axis"])


COMBINE = {"add": np.add, "sum": np.add, "mul": np.multiply, "prod": np.multiply, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


@golden("scatter_add")
def scatter_add(ins, attrs):
    """Rows along axis 0 (or the named axis): x[index[i]] += updates[i], repeats add up."""
    x, index, updates = ins
    out, axis = np.moveaxis(x.copy(), attrs.get("axis", 0), 0), attrs.get("axis", 0)
    np.add.at(out, np.where(index < 0, index + out.shape[0], index), np.moveaxis(updates, axis, 0) if axis else updates)
    return np.moveaxis(out, 0, axis)


@golden("scatter_nd")
def scatter_nd(ins, attrs):
    x, index, updates = ins
    out, where = x.copy(), tuple(np.moveaxis(index, -1, 0))
    how = attrs.get("reduction", "none")
    if how in ("none", "set", "update"):
        for place in np.ndindex(index.shape[:-1]):
            out[tuple(index[place])] = updates[place]
    else:
        COMBINE[how].at(out, where, updates)
    return out


@golden("one_hot")
def one_hot(ins, attrs):
    index, depth, axis = ins[0], attrs["depth"], attrs.get("axis", -1)
    on, off = attrs.get("on_value", 1), attrs.get("off_value", 0)
    hot = np.moveaxis(index[..., None] == np.arange(depth), -1, axis if axis >= 0 else index.ndim + 1 + axis)
    kind = attrs.get("dtype", "f32")
    return np.where(hot, on, off).astype(np.bool_ if kind == "bool" else np.float64 if kind[0] in "fb" else np.int64)


@golden("iota")
def iota(ins, attrs):
    dims, axis = attrs["dims"], attrs.get("axis", 0)
    line = np.arange(dims[axis]).reshape([-1 if i == axis % len(dims) else 1 for i in range(len(dims))])
    kind = attrs.get("dtype", "i64")
    return np.broadcast_to(line, dims).astype(np.float64 if kind[0] in "fb" else {"i": "int", "u": "uint"}[kind[0]] + kind[1:])


@golden("reverse")
def reverse(ins, attrs):
    return np.flip(ins[0], tuple(attrs["axes"]))


@golden("roll")
def roll(ins, attrs):
    return np.roll(ins[0], attrs["shifts"], attrs["axes"])


@golden("tile")
def tile(ins, attrs):
    return np.tile(ins[0], attrs["repeats"] if "repeats" in attrs else attrs["multiples"])


@golden("expand_dims")
def expand_dims(ins, attrs):
    return np.expand_dims(ins[0], tuple(attrs["axes"]) if "axes" in attrs else attrs["axis"])


@golden("squeeze")
def squeeze(ins, attrs):
    axes = attrs.get("axes")
    return np.squeeze(ins[0], tuple(axes) if axes else None)


golden("constant")(lambda ins, attrs: attrs["value"])


@golden("broadcast_like")
def broadcast_like(ins, attrs):
    return np.broadcast_to(ins[0], ins[1].shape)


@golden("sum_like")
def sum_like(ins, attrs):
    x, like = ins
    x = x.sum(axis=tuple(range(x.ndim - like.ndim)), dtype=x.dtype)
    return x.sum(axis=tuple(i for i, n in enumerate(like.shape) if n == 1 and x.shape[i] != 1), keepdims=True, dtype=x.dtype)


golden("zeros_like")(lambda ins, attrs: np.zeros_like(ins[0]))
golden("ones_like")(lambda ins, attrs: np.ones_like(ins[0]))
golden("shape_of")(lambda ins, attrs: np.array(ins[0].shape, np.int32 if attrs.get("dtype") == "i32" else np.int64))
golden("triu")(lambda ins, attrs: np.triu(ins[0], attrs.get("k", 0)))
golden("tril")(lambda ins, attrs: np.tril(ins[0], attrs.get("k", 0)))
