"""Convolution by PyTorch on channels-first data, its gradients by PyTorch's autograd; pooling window by window."""
import itertools

import numpy as np
import torch

from registry import golden


def turn(x, source, target):
    """Axes reordered from the letters of one layout to those of another."""
    return np.transpose(x, [source.index(c) for c in target])


class Window:
    """The window attributes on data with the given spatial dims."""

    def __init__(self, attrs, sizes, window):
        n = len(sizes)
        self.sizes, self.window = list(sizes), list(window)
        self.strides = attrs["strides"] or (self.window if "window" in attrs else [1] * n)
        self.dilations = attrs["dilations"] or [1] * n
        reach = [(k - 1) * d + 1 for k, d in zip(self.window, self.dilations)]
        mode = attrs["auto_pad"]
        if mode in ("same_upper", "same_lower"):
            totals = [max((-(-size // stride) - 1) * stride + r - size, 0) for size, stride, r in zip(sizes, self.strides, reach)]
            small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
            self.low, self.high = (small, large) if mode == "same_upper" else (large, small)
        else:
            pads = attrs["padding"] or [0] * (2 * n)
            self.low, self.high = (pads[0::2], pads[1::2]) if mode == "explicit" else ([0] * n, [0] * n)
        self.out = []
        for size, low, high, stride, r in zip(sizes, self.low, self.high, self.strides, reach):
            room = size + low + high - r
            out = room // stride + 1
            if attrs.get("ceil_mode", False) and room % stride and out * stride < size + low:
                out += 1
            self.out.append(max(out, 0))

    def taps(self, at):
        """Positions read for the result at index `at` that lie in the data, in row-major order, and how many lie in data or
        padding."""
        axes = [[o * s + k * d - low for k in range(w)] for o, s, d, low, w in zip(at, self.strides, self.dilations, self.low, self.window)]
        inside = [[p for p in axis if 0 <= p < size] for axis, size in zip(axes, self.sizes)]
        padded = [sum(-low <= p < size + high for p in axis) for axis, size, low, high in zip(axes, self.sizes, self.low, self.high)]
        return list(itertools.product(*inside)), int(np.prod(padded))


# Convolution.

def letters_of(x):
    return "DHW"[5 - x.ndim:]


def conv_torch(x, kernel, attrs, window):
    """On channels-first tensors of float64."""
    pads = [p for low, high in reversed(list(zip(window.low, window.high))) for p in (low, high)]
    run = {3: torch.nn.functional.conv1d, 4: torch.nn.functional.conv2d, 5: torch.nn.functional.conv3d}[x.ndim]
    return run(torch.nn.functional.pad(x, pads), kernel, None, window.strides, 0, window.dilations, attrs["groups"])


def conv_all(attrs, x, kernel, dy=None):
    """y, or with dy the gradients in x and in the kernel."""
    letters, layout, kernels = letters_of(x), attrs["layout"], attrs["kernel_layout"]
    first, weights = turn(x, layout, "NC" + letters), turn(kernel, kernels, "OI" + letters)
    window = Window(attrs, first.shape[2:], weights.shape[2:])
    if 0 in x.shape or 0 in kernel.shape or 0 in window.out:
        empty = np.zeros((first.shape[0], weights.shape[0], *window.out), x.dtype)
        return turn(empty, "NC" + letters, layout) if dy is None else [np.zeros_like(x), np.zeros_like(kernel)]
    kind = np.float64 if x.dtype.kind != "c" else np.complex128
    a, b = (torch.tensor(np.ascontiguousarray(v.astype(kind)), requires_grad=True) for v in (first, weights))
    y = conv_torch(a, b, attrs, window)
    if dy is None:
        return turn(y.detach().numpy(), "NC" + letters, layout).astype(x.dtype)
    y.backward(torch.tensor(np.ascontiguousarray(turn(dy, layout, "NC" + letters).astype(kind))))
    return [turn(a.grad.numpy(), "NC" + letters, layout).astype(x.dtype), turn(b.grad.numpy(), "OI" + letters, kernels).astype(x.dtype)]


golden("conv")(lambda ins, attrs: conv_all(attrs, ins[0], ins[1]))
golden("conv_input_grad")(lambda ins, attrs: conv_all(attrs, np.zeros(ins[2].shape, ins[0].dtype), ins[1], ins[0])[0])
golden("conv_kernel_grad")(lambda ins, attrs: conv_all(attrs, ins[1], np.zeros(ins[2].shape, ins[0].dtype), ins[0])[1])


# Pooling.

def pooled(attrs, x, each, fill=0):
    """The result of each(values at the taps, taps, count) for every window; a window in padding alone gives `fill`."""
    letters, layout = letters_of(x), attrs["layout"]
    first = turn(x, layout, "NC" + letters)
    window = Window(attrs, first.shape[2:], attrs["window"])
    y = np.full((*first.shape[:2], *window.out), fill, x.dtype)
    for at in np.ndindex(*window.out):
        taps, count = window.taps(at)
        if taps:
            for n, c in np.ndindex(first.shape[:2]):
                y[(n, c, *at)] = each(n, c, first, taps, count)
    return turn(y, "NC" + letters, layout)


def spread(attrs, dims, dtype, dy, each):
    """Adds each(n, c, taps, count) = [(tap, factor)] times dy into an array of the dims of the data."""
    letters, layout = "DHW"[5 - len(dims):], attrs["layout"]
    out = turn(np.zeros(dims, dtype), layout, "NC" + letters).copy()
    window = Window(attrs, out.shape[2:], attrs["window"])
    moved = turn(dy, layout, "NC" + letters)
    for at in np.ndindex(*window.out):
        taps, count = window.taps(at)
        for n, c in np.ndindex(out.shape[:2]) if taps else ():
            for tap, factor in each(n, c, taps, count):
                out[(n, c, *tap)] += factor * moved[(n, c, *at)]
    return turn(out, "NC" + letters, layout)


def first_max(x, n, c, taps):
    """The first tap with the maximum; the first NaN counts as the maximum."""
    return taps[int(np.argmax([x[(n, c, *t)] for t in taps]))]


def lowest(dtype):
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


@golden("max_pool")
def max_pool(ins, attrs):
    x = ins[0]
    return pooled(attrs, x, lambda n, c, v, taps, count: v[(n, c, *first_max(v, n, c, taps))], lowest(x.dtype))


@golden("max_pool_gather")
def max_pool_gather(ins, attrs):
    v, x = (turn(a, attrs["layout"], "NC" + letters_of(a)) for a in ins)
    return pooled(attrs, ins[1], lambda n, c, _, taps, count: v[(n, c, *first_max(x, n, c, taps))])


@golden("max_pool_grad")
def max_pool_grad(ins, attrs):
    dy, x = ins
    first = turn(x, attrs["layout"], "NC" + letters_of(x))
    return spread(attrs, x.shape, dy.dtype, dy, lambda n, c, taps, count: [(first_max(first, n, c, taps), 1)])


def divisor(attrs, taps, count):
    return count if attrs["count_include_pad"] else len(taps)


@golden("avg_pool")
def avg_pool(ins, attrs):
    return pooled(attrs, ins[0], lambda n, c, v, taps, count: sum(v[(n, c, *t)] for t in taps) / divisor(attrs, taps, count))


@golden("avg_pool_grad")
def avg_pool_grad(ins, attrs):
    return spread(attrs, ins[1].shape, ins[0].dtype, ins[0], lambda n, c, taps, count: [(t, 1 / divisor(attrs, taps, count)) for t in taps])


@golden("global_average_pool")
def global_average_pool(ins, attrs):
    axes = tuple(i for i, c in enumerate(attrs["layout"]) if c in "DHW")
    return ins[0].mean(axis=axes, keepdims=attrs["keep_dims"])
