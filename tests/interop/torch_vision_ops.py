"""The operators that torchvision adds to PyTorch, for networks that need them. Its wheels load only beside the build of
PyTorch that they were made for, so where it is missing the same schemas are declared here, with evaluations of our own,
and the exporter gets the translations that it keeps for torchvision: `translations()`, for
torch.onnx.export(custom_translation_table=…)."""
import math

import torch
from torch.nn import functional as F

try:
    import torchvision  # noqa: F401  declares the operators

    THERE = True
except (ImportError, RuntimeError, AttributeError):
    THERE = False


def nms(dets, scores, iou_threshold):
    """Indices of the boxes x1 y1 x2 y2 that stay, best first: a box goes when it overlaps a better one that stays."""
    left = torch.argsort(scores, descending=True, stable=True).tolist()
    area = (dets[:, 2] - dets[:, 0]) * (dets[:, 3] - dets[:, 1])
    keep = []
    while left:
        best, left = left[0], left[1:]
        keep.append(best)
        others = torch.tensor(left, dtype=torch.int64)
        low, high = torch.maximum(dets[others, :2], dets[best, :2]), torch.minimum(dets[others, 2:], dets[best, 2:])
        common = (high - low).clamp(min=0).prod(1)
        overlap = common / (area[others] + area[best] - common)
        left = others[overlap <= iou_threshold].tolist()
    return torch.tensor(keep, dtype=torch.int64)


def bilinear(image, y, x):
    """image [C, H, W] at the points (y, x): [C, *y.shape]. Up to one pixel outside it is the border, beyond it is 0."""
    height, width = image.shape[1:]
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    y0, x0 = y.floor().long(), x.floor().long()
    y1, x1 = (y0 + 1).clamp(max=height - 1), (x0 + 1).clamp(max=width - 1)
    v, u = y - y0, x - x0
    top, low = image[:, y0, x0] * (1 - u) + image[:, y0, x1] * u, image[:, y1, x0] * (1 - u) + image[:, y1, x1] * u
    return (top * (1 - v) + low * v) * inside


def roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
    """rois [K, 5] of (image, x1, y1, x2, y2): the mean of a grid of samples in each bin, [K, C, height, width]."""
    out = []
    for image, *box in rois.tolist():
        x1, y1, x2, y2 = (c * spatial_scale - (0.5 if aligned else 0.0) for c in box)
        width, height = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
        rows, columns = (sampling_ratio or 0, sampling_ratio or 0)
        if sampling_ratio <= 0:
            rows, columns = max(math.ceil(height / pooled_height), 1), max(math.ceil(width / pooled_width), 1)
        y = y1 + (torch.arange(pooled_height * rows) + 0.5) * (height / pooled_height / rows)
        x = x1 + (torch.arange(pooled_width * columns) + 0.5) * (width / pooled_width / columns)
        samples = bilinear(input[int(image)], *torch.meshgrid(y, x, indexing="ij"))
        out.append(samples.unflatten(2, (pooled_width, columns)).unflatten(1, (pooled_height, rows)).mean((2, 4)))
    return torch.stack(out) if out else input.new_zeros(0, input.shape[1], pooled_height, pooled_width)


def deform_conv2d(input, weight, offset, mask, bias, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, offset_groups, use_mask):
    """A convolution whose taps stand at places of their own: offset [N, 2 * offset_groups * kh * kw, oh, ow]."""
    n, c, h, w = input.shape
    kh, kw = weight.shape[2:]
    oh, ow = offset.shape[2:]
    offset = offset.view(n, offset_groups, kh, kw, 2, oh, ow)
    taps = torch.empty(n, c, kh, kw, oh, ow)
    y0, x0 = torch.meshgrid(torch.arange(oh) * stride_h - pad_h, torch.arange(ow) * stride_w - pad_w, indexing="ij")
    each = c // offset_groups
    padded = F.pad(input, (1, 1, 1, 1))  # outside is 0, also between the border and the first pixel beyond
    for i in range(n):
        for g in range(offset_groups):
            for a in range(kh):
                for b in range(kw):
                    y, x = y0 + a * dilation_h + offset[i, g, a, b, 0], x0 + b * dilation_w + offset[i, g, a, b, 1]
                    inside = (y > -1) & (y < h) & (x > -1) & (x < w)
                    value = bilinear(padded[i, g * each:(g + 1) * each], y + 1, x + 1) * inside
                    taps[i, g * each:(g + 1) * each, a, b] = value * mask.view(n, offset_groups, kh, kw, oh, ow)[i, g, a, b] if use_mask else value
    taps = taps.view(n, groups, -1, oh * ow)
    out = torch.einsum("gof,ngfp->ngop", weight.reshape(groups, weight.shape[0] // groups, -1), taps).reshape(n, -1, oh, ow)
    return out if bias is None else out + bias[:, None, None]


def fake_nms(dets, scores, iou_threshold):
    return dets.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


def fake_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
    return input.new_empty(rois.shape[0], input.shape[1], pooled_height, pooled_width)


def fake_deform_conv2d(input, weight, offset, *rest):
    return input.new_empty(input.shape[0], weight.shape[0], *offset.shape[2:])


if not THERE:
    for schema, run, fake in (
        ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", nms, fake_nms),
        ("roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor", roi_align, fake_roi_align),
        ("deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor? bias, int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, int groups, int offset_groups, bool use_mask) -> Tensor", deform_conv2d, fake_deform_conv2d),
    ):
        name = "torchvision::" + schema.split("(")[0]
        torch.library.define(name, schema[schema.index("("):])
        torch.library.impl(name, "CPU", run)
        torch.library.register_fake(name, fake)


def translations():
    if THERE:
        return {}
    from onnxscript.function_libs.torch_lib.ops import vision

    ops = torch.ops.torchvision
    return {ops.nms.default: vision.torchvision_nms, ops.roi_align.default: vision.torchvision_roi_align, ops.deform_conv2d.default: vision.torchvision_deform_conv2d}
