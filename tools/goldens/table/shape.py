"""Ops that move elements."""
import numpy as np

from registry import NUMPY, golden


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
    steps = attrs["strides"] or [1] * ins[0].ndim
    return ins[0][tuple(slice(*bounds) for bounds in zip(attrs["starts"], attrs["limits"], steps))]


@golden("pad")
def pad(ins, attrs):
    if not ins[0].ndim:
        return ins[0]
    widths, mode = list(zip(attrs["low"], attrs["high"])), attrs["mode"]
    return np.pad(ins[0], widths, mode, **({"constant_values": attrs["value"]} if mode == "constant" else {}))


def per_batch(function, batch, *arrays):
    """function on the parts of the arrays that one index of the first `batch` axes picks, set side by side again."""
    rows = [function(*(a[i] for a in arrays)) for i in np.ndindex(arrays[0].shape[:batch])]
    return np.stack(rows).reshape(arrays[0].shape[:batch] + rows[0].shape)


@golden("gather")
def gather(ins, attrs):
    axis, batch = attrs["axis"] % ins[0].ndim, attrs["batch_dims"] % (ins[1].ndim + 1)
    return per_batch(lambda x, index: np.take(x, index, axis=axis - batch, mode="raise"), batch, *ins)


@golden("scatter_add")
def scatter_add(ins, attrs):
    axis, batch = attrs["axis"] % ins[0].ndim, attrs["batch_dims"] % (ins[1].ndim + 1)

    def add(x, index, updates):
        out = x.copy()
        where = (slice(None),) * (axis - batch) + (index,)
        np.add.at(out, where, updates)
        return out
    return per_batch(add, batch, *ins)


def places(index):
    """Index tuples along the last axis, as one array an axis."""
    return tuple(np.moveaxis(index, -1, 0))


@golden("gather_nd")
def gather_nd(ins, attrs):
    x, index = ins
    if index.shape[-1] == 0:
        return np.broadcast_to(x, index.shape[:-1] + x.shape)
    return x[places(index)]


@golden("scatter_nd_add")
def scatter_nd_add(ins, attrs):
    x, index, updates = ins
    if index.shape[-1] == 0:
        return x + updates.reshape((-1, *x.shape)).sum(axis=0, dtype=x.dtype)
    out = x.copy()
    np.add.at(out, places(index), updates)
    return out


@golden("scatter_nd")
def scatter_nd(ins, attrs):
    x, index, updates = ins
    join = {"none": lambda old, new: new, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
    out = x.copy()
    flat = index.reshape(-1, index.shape[-1]) if index.shape[-1] else np.zeros((int(np.prod(index.shape[:-1])), 0), int)
    news = updates.reshape(len(flat), *x.shape[index.shape[-1]:])
    for place, new in zip(flat, news):
        at = tuple(int(i) for i in place)
        out[at] = join[attrs.get("reduction", "none")](out[at], new)
    return out


def along(x, index, axis):
    """The full index of take_along_axis; the dims of the index may stay below those of x on the other axes."""
    grid = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return tuple(grid)


@golden("take_along_axis")
def take_along_axis(ins, attrs):
    return ins[0][along(*ins, attrs["axis"] % ins[0].ndim)]


@golden("scatter_add_along_axis")
def scatter_add_along_axis(ins, attrs):
    out = ins[0].copy()
    np.add.at(out, along(ins[0], ins[1], attrs["axis"] % out.ndim), ins[2])
    return out


@golden("one_hot")
def one_hot(ins, attrs):
    index, depth, axis = ins[0], attrs["depth"], attrs.get("axis", -1)
    on, off = attrs.get("on_value", 1), attrs.get("off_value", 0)
    hot = np.moveaxis(index[..., None] == np.arange(depth), -1, axis if axis >= 0 else index.ndim + 1 + axis)
    kind = attrs.get("dtype", "f32")
    return np.where(hot, on, off).astype(np.bool_ if kind == "bool" else np.float64 if kind[0] in "fb" else NUMPY[kind])


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
    return np.tile(ins[0], attrs["repeats"])


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
golden("as_dims")(lambda ins, attrs: ins[0])
golden("triu")(lambda ins, attrs: np.triu(ins[0], attrs.get("k", 0)))
golden("tril")(lambda ins, attrs: np.tril(ins[0], attrs.get("k", 0)))
