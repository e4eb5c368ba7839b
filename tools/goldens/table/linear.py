"""Products, convolutions and pooling, by PyTorch in float64 on channels-first data."""
import numpy as np
import torch

from registry import golden


def t(x):
    return torch.from_numpy(np.ascontiguousarray(x))


@golden("matmul")
def matmul(ins, attrs):
    turn = lambda x, yes: np.swapaxes(x, -1, -2) if yes and x.ndim > 1 else x
    return np.matmul(turn(ins[0], attrs["transpose_x"]), turn(ins[1], attrs["transpose_y"]))


@golden("dot_general")
def dot_general(ins, attrs):
    """Batch axes first, then the free axes of the left, then those of the right."""
    a, b = ins[:2]
    lb, rb, lc, rc = (list(attrs[n]) for n in ("lhs_batch", "rhs_batch", "lhs_contract", "rhs_contract"))
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in range(a.ndim)]
    right = [None] * b.ndim
    for i, j in [*zip(lb, rb), *zip(lc, rc)]:
        right[j % b.ndim] = left[i % a.ndim]
    right = [r or next(letters) for r in right]
    out = [left[i % a.ndim] for i in lb] + [c for i, c in enumerate(left) if i not in [k % a.ndim for k in lb + lc]]
    out += [c for j, c in enumerate(right) if j not in [k % b.ndim for k in rb + rc]]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


@golden("einsum")
def einsum(ins, attrs):
    return np.einsum(attrs["equation"], *ins)


def to_layout(x, source, target):
    """Axes reordered from the letters of one layout to those of another."""
    return np.transpose(x, [source.index(c) for c in target])


def spatial(layout):
    return [c for c in layout if c not in "NCIO"]


def pads_of(attrs, sizes, windows, strides, dilations):
    """[(low, high)] from a padding attribute: explicit pairs, low and high lists, or a mode."""
    mode = attrs.get("padding", attrs.get("auto_pad", "valid"))
    if "padding_low" in attrs and attrs["padding_low"]:
        return list(zip(attrs["padding_low"], attrs["padding_high"]))
    if isinstance(mode, (list, tuple)):
        n = len(sizes)
        return [(0, 0)] * n if not mode else list(zip(mode[:n], mode[n:])) if len(mode) == 2 * n else [(p, p) for p in mode]
    if str(mode).lower() == "same" or str(mode).lower() == "same_upper":
        out = []
        for size, window, stride, dilation in zip(sizes, windows, strides, dilations):
            total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
            out.append((total // 2, total - total // 2))
        return out
    return [(0, 0)] * len(sizes)


def torch_pad(pads):
    return [v for low, high in reversed(pads) for v in (low, high)]


@golden("conv")
def conv(ins, attrs):
    x, w = ins[:2]
    n = x.ndim - 2
    letters = "DHW"[3 - n:]
    layout = attrs.get("layout", attrs.get("input_layout", "N" + letters + "C"))
    kernel = attrs.get("kernel_layout", attrs.get("filter_layout", letters + "IO"))
    strides, dilations = list(attrs.get("strides") or [1] * n), list(attrs.get("dilations") or attrs.get("dilation") or [1] * n)
    first, weights = to_layout(x, layout, "NC" + letters), to_layout(w, kernel, "OI" + letters)
    pads = pads_of(attrs, first.shape[2:], weights.shape[2:], strides, dilations)
    first = torch.nn.functional.pad(t(first), torch_pad(pads))
    run = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[n]
    y = run(first, t(weights), None, strides, 0, dilations, attrs.get("groups", 1)).numpy()
    return to_layout(y, "NC" + letters, layout)


def windows(ins, attrs):
    x = ins[0]
    n = x.ndim - 2
    letters = "DHW"[3 - n:]
    layout = attrs.get("layout", "N" + letters + "C")
    first = to_layout(x, layout, "NC" + letters)
    window = list(attrs.get("window") or attrs.get("kernel"))
    strides = list(attrs.get("strides") or window)
    dilations = list(attrs.get("dilations") or [1] * n)
    return first, window, strides, dilations, pads_of(attrs, first.shape[2:], window, strides, dilations), lambda y: to_layout(y, "NC" + letters, layout)


def slide(x, window, strides, dilations, pads, fill):
    """Every window as the last axes: [N, C, out..., window...]."""
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilations)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(2, x.ndim)))
    step = (slice(None), slice(None), *(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations))
    return view[step]


@golden("max_pool")
def max_pool(ins, attrs):
    x, window, strides, dilations, pads, back = windows(ins, attrs)
    fill = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return back(slide(x, window, strides, dilations, pads, fill).max(axis=tuple(range(-len(window), 0))))


@golden("avg_pool")
def avg_pool(ins, attrs):
    x, window, strides, dilations, pads, back = windows(ins, attrs)
    over = tuple(range(-len(window), 0))
    total = slide(x, window, strides, dilations, pads, 0).sum(axis=over)
    if attrs.get("count_include_pad", attrs.get("include_pad", False)):
        return back(total / np.prod(window))
    return back(total / slide(np.ones_like(x), window, strides, dilations, pads, 0).sum(axis=over))
