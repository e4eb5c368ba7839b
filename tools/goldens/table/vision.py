"""Images: sampling at grids by PyTorch, regions and columns place by place."""
import itertools
import math

import numpy as np
import torch

from registry import golden


@golden("grid_sample")
def grid_sample(ins, attrs):
    mode = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}[attrs["mode"]]
    x, grid = torch.from_numpy(np.ascontiguousarray(ins[0])), torch.from_numpy(np.ascontiguousarray(ins[1]))
    if 0 in grid.shape:
        return np.zeros(tuple(x.shape[:2]) + tuple(grid.shape[1:-1]))
    return torch.nn.functional.grid_sample(x, grid, mode, attrs["padding_mode"], attrs["align_corners"]).numpy()


@golden("roi_align")
def roi_align(ins, attrs):
    x, rois, images = ins
    height, width = x.shape[2:]
    oh, ow, ratio, scale = attrs["output_height"], attrs["output_width"], attrs["sampling_ratio"], attrs["spatial_scale"]
    shift = 0.5 if attrs["aligned"] else 0.0

    def neighbours(y, at):
        if y < -1 or y > height or at < -1 or at > width:
            return [(0.0, 0, 0)] * 4
        y, at = max(y, 0.0), max(at, 0.0)
        y0, x0 = min(int(y), height - 1), min(int(at), width - 1)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        fy, fx = (0.0 if y1 == y0 else y - y0), (0.0 if x1 == x0 else at - x0)
        return [((1 - fy) * (1 - fx), y0, x0), ((1 - fy) * fx, y0, x1), (fy * (1 - fx), y1, x0), (fy * fx, y1, x1)]

    out = np.zeros((len(rois), x.shape[1], oh, ow))
    for r, (left, top, right, bottom) in enumerate(rois * scale - shift):
        w, h = right - left, bottom - top
        if not attrs["aligned"]:
            w, h = max(w, 1.0), max(h, 1.0)
        ny, nx = (ratio or math.ceil(h / oh)), (ratio or math.ceil(w / ow))
        for c, i, j in np.ndindex(x.shape[1], oh, ow):
            parts = []
            for sy, sx in itertools.product(range(ny), range(nx)):
                y = top + h / oh * (i + (sy + 0.5) / ny)
                at = left + w / ow * (j + (sx + 0.5) / nx)
                parts.append([weight * x[images[r], c, y_, x_] for weight, y_, x_ in neighbours(y, at)])
            out[r, c, i, j] = np.max(parts) if attrs["mode"] == "maximum" else np.sum(parts) / max(len(parts), 1)
    return out


@golden("non_max_suppression")
def non_max_suppression(ins, attrs):
    boxes, scores = ins[:2]
    most, iou, least = (list(ins[2:]) + [None] * 3)[:3]
    most = 0 if most is None else int(most)
    iou = 0.0 if iou is None else float(iou)

    def corners(b):
        if attrs["center_point_box"]:
            return b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2
        return min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])

    def overlap(a, b):
        a, b = corners(a), corners(b)
        h, w = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        if h <= 0 or w <= 0:
            return 0.0
        area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
        return h * w / (area(a) + area(b) - h * w)

    out = []
    for n, k in np.ndindex(scores.shape[:2]):
        kept = []
        for i in np.argsort(-scores[n, k], kind="stable"):
            if len(kept) >= most:
                break
            if least is not None and not scores[n, k, i] > float(least):
                continue
            if all(overlap(boxes[n, i], boxes[n, j]) <= iou for j in kept):
                kept.append(i)
                out.append((n, k, i))
    return np.array(out, np.int64).reshape(-1, 3)


def columns(image, attrs):
    """(window number, tap number, position in the image) of every tap in the data, and the numbers of taps and windows."""
    n = len(image)
    block = attrs["block_shape"]
    strides, dilations = attrs["strides"] or [1] * n, attrs["dilations"] or [1] * n
    pads = attrs["padding"] or [0] * 2 * n
    counts = [(s + a + b - (k - 1) * d - 1) // t + 1
              for s, a, b, k, d, t in zip(image, pads[0::2], pads[1::2], block, dilations, strides)]
    places = []
    for w, window in enumerate(np.ndindex(*counts)):
        for t, tap in enumerate(np.ndindex(*block)):
            at = tuple(o * s + k * d - p for o, s, k, d, p in zip(window, strides, tap, dilations, pads[0::2]))
            if all(0 <= a < s for a, s in zip(at, image)):
                places.append((w, t, at))
    return places, int(np.prod(block)), int(np.prod(counts))


@golden("im2col")
def im2col(ins, attrs):
    x = ins[0]
    places, taps, windows = columns(x.shape[2:], attrs)
    out = np.zeros((x.shape[0], x.shape[1], taps, windows), x.dtype)
    for w, t, at in places:
        out[:, :, t, w] = x[(slice(None), slice(None)) + at]
    return out.reshape(x.shape[0], -1, windows)


@golden("col2im")
def col2im(ins, attrs):
    x = ins[0]
    places, taps, windows = columns(attrs["image_shape"], attrs)
    x = x.reshape(x.shape[0], -1, taps, windows)
    out = np.zeros(x.shape[:2] + tuple(attrs["image_shape"]), x.dtype)
    for w, t, at in places:
        out[(slice(None), slice(None)) + at] += x[:, :, t, w]
    return out


@golden("bitcast")
def bitcast(ins, attrs):
    to = {"i": "int", "u": "uint", "f": "float"}[attrs["dtype"][0]] + attrs["dtype"][1:]
    x = ins[0]
    if x.dtype.kind == "f":
        x = x.astype(np.float32)  # the sample's own dtype
    return np.asarray(x).view(np.dtype(to))


@golden("combined_non_max_suppression")
def combined_non_max_suppression(ins, attrs):
    """TensorFlow's own op."""
    import tensorflow as tf

    out = tf.raw_ops.CombinedNonMaxSuppression(
        boxes=ins[0].astype(np.float32), scores=ins[1].astype(np.float32), max_output_size_per_class=attrs["max_per_class"],
        max_total_size=attrs["max_total"], iou_threshold=attrs.get("iou_threshold", 0.5),
        score_threshold=attrs.get("score_threshold", 0.0), pad_per_class=attrs.get("pad_per_class", False),
        clip_boxes=attrs.get("clip_boxes", True))
    return [o.numpy() for o in out]
