"""Reductions, scans and searches along axes."""
import numpy as np

from registry import axes_of, golden


def over(function):
    def run(ins, attrs):
        return function(ins[0], axes_of(attrs.get("axes"), ins[0].ndim), attrs.get("keep_dims", False))
    return run


def wrap(function):
    """Sums and products of integers stay in their dtype, as on the machine."""
    return over(lambda x, a, k: function(x, axis=a, keepdims=k, dtype=x.dtype))


golden("reduce_sum")(wrap(np.sum))
golden("reduce_prod")(wrap(np.prod))
golden("reduce_mean")(over(lambda x, a, k: np.mean(x, axis=a, keepdims=k)))
golden("reduce_any")(over(lambda x, a, k: np.any(x, axis=a, keepdims=k)))
golden("reduce_all")(over(lambda x, a, k: np.all(x, axis=a, keepdims=k)))
golden("variance")(over(lambda x, a, k: np.var(x, axis=a, keepdims=k)))


@golden("logsumexp")
@over
def logsumexp(x, axes, keep):
    top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    y = np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True)) + top
    return y if keep else np.squeeze(y, axes)


golden("reduce_l1")(over(lambda x, a, k: np.sum(np.abs(x), axis=a, keepdims=k)))
golden("reduce_l2")(over(lambda x, a, k: np.sqrt(np.sum(x * x, axis=a, keepdims=k))))


def extreme(x, sign):
    """The identity of max (sign 1) or min (sign -1) in x's dtype."""
    if x.dtype.kind == "f":
        return -sign * np.inf
    if x.dtype.kind == "b":
        return sign < 0
    return np.iinfo(x.dtype).min if sign > 0 else np.iinfo(x.dtype).max


golden("reduce_max")(over(lambda x, a, k: np.max(x, axis=a, keepdims=k, initial=extreme(x, 1))))
golden("reduce_min")(over(lambda x, a, k: np.min(x, axis=a, keepdims=k, initial=extreme(x, -1))))


def arg(function):
    def run(ins, attrs):
        x, axis = ins[0], attrs["axis"] % ins[0].ndim
        if attrs["select_last"]:
            found = x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis)
        else:
            found = function(x, axis=axis)
        if attrs.get("keep_dims", False):
            found = np.expand_dims(found, axis)
        return found.astype(np.int32 if attrs.get("dtype") == "i32" else np.int64)
    return run


golden("argmax")(arg(np.argmax))
golden("argmin")(arg(np.argmin))


def scan(function, start):
    def run(ins, attrs):
        x, axis = ins[0], attrs["axis"] % ins[0].ndim
        if attrs.get("reverse", False):
            x = np.flip(x, axis)
        y = function(x, axis=axis, dtype=x.dtype)
        if attrs.get("exclusive", False):
            first = np.full_like(np.take(x, [0] if x.shape[axis] else [], axis=axis), start)
            y = np.concatenate([first, np.take(y, np.arange(max(x.shape[axis] - 1, 0)), axis=axis)], axis)
        return np.flip(y, axis) if attrs.get("reverse", False) else y
    return run


golden("cumsum")(scan(np.cumsum, 0))
golden("cumprod")(scan(np.cumprod, 1))


def order(x, axis, descending):
    """Stable order; NaN counts as the greatest value."""
    key = np.argsort(x, axis=axis, kind="stable")
    if not descending:
        return key
    turned = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - turned, axis)


@golden("sort")
def sort(ins, attrs):
    return np.take_along_axis(ins[0], order(ins[0], attrs["axis"], attrs.get("descending", False)), attrs["axis"])


@golden("argsort")
def argsort(ins, attrs):
    return order(ins[0], attrs["axis"], attrs.get("descending", False)).astype(np.int32 if attrs.get("dtype") == "i32" else np.int64)


@golden("top_k")
def top_k(ins, attrs):
    x, axis = ins[0], attrs["axis"]
    index = np.take(order(x, axis, attrs["largest"]), np.arange(attrs["k"] if attrs["k"] >= 0 else x.shape[axis]), axis=axis)
    return [np.take_along_axis(x, index, axis), index.astype(np.int64)]


@golden("nonzero")
def nonzero(ins, attrs):
    return np.stack(np.nonzero(ins[0])).astype(np.int64) if ins[0].ndim else np.zeros((0, int(ins[0] != 0)), np.int64)
