"""Softmaxes, normalisations and losses."""
import numpy as np
import torch

from registry import axes_of, golden


@golden("softmax")
def softmax(ins, attrs):
    return torch.softmax(torch.tensor(ins[0]), attrs.get("axis", -1)).numpy()


@golden("log_softmax")
def log_softmax(ins, attrs):
    return torch.log_softmax(torch.tensor(ins[0]), attrs.get("axis", -1)).numpy()


def along(x, v, axis):
    """A vector set along one axis of x."""
    return v.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def scaled(x, axis, mean, variance, gamma, beta, epsilon):
    y = (x - along(x, mean, axis)) / np.sqrt(along(x, variance, axis) + epsilon)
    return y * (1 if gamma is None else along(x, gamma, axis)) + (0 if beta is None else along(x, beta, axis))


@golden("batch_norm")
def batch_norm(ins, attrs):
    x, mean, variance, gamma, beta = [*ins, None, None][:5]
    return scaled(x, attrs["axis"], mean, variance, gamma, beta, attrs["epsilon"])


@golden("batch_norm_training")
def batch_norm_training(ins, attrs):
    """y, the batch's mean and its population variance."""
    x, gamma, beta = [*ins, None, None][:3]
    others = tuple(i for i in range(x.ndim) if i != attrs["axis"] % x.ndim)
    mean, variance = x.mean(axis=others), x.var(axis=others)
    return [scaled(x, attrs["axis"], mean, variance, gamma, beta, attrs["epsilon"]), mean, variance]


def trailing(ins, attrs):
    x = ins[0]
    if attrs.get("axes"):
        return x, axes_of(attrs["axes"], x.ndim)
    return x, tuple(range(attrs.get("axis", -1) % x.ndim, x.ndim))


@golden("layer_norm")
def layer_norm(ins, attrs):
    (x, axes), scale, offset = trailing(ins, attrs), *[*ins[1:3], None, None][:2]
    y = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + attrs["epsilon"])
    return y * (1 if scale is None else scale) + (0 if offset is None else offset)


def agreed(y, other):
    """What NumPy and PyTorch give, when they agree."""
    np.testing.assert_allclose(y, other.numpy(), rtol=1e-12, atol=1e-13)
    return y


def tensor(x):
    return None if x is None else torch.tensor(x)


@golden("rms_norm")
def rms_norm(ins, attrs):
    (x, axes), scale = trailing(ins, attrs), [*ins[1:2], None][0]
    y = x / np.sqrt(np.mean(x * x, axis=axes, keepdims=True) + attrs["epsilon"])
    y = y if scale is None else y * scale
    return agreed(y, torch.nn.functional.rms_norm(torch.tensor(x), x.shape[axes[0]:], tensor(scale), attrs["epsilon"]))


@golden("group_norm")
def group_norm(ins, attrs):
    """The channels first and cut in groups; PyTorch knows them at axis 1 alone, and no single elements."""
    x, gamma, beta = [*ins, None, None][:3]
    first = np.moveaxis(x, attrs["axis"], 1)
    groups = first.shape[1] if attrs["groups"] == -1 else attrs["groups"]
    cut = first.reshape(x.shape[0], groups, first.size // max(1, x.shape[0] * groups))
    mean, variance = cut.mean(axis=2, keepdims=True), cut.var(axis=2, keepdims=True)
    y = ((cut - mean) / np.sqrt(variance + attrs["epsilon"])).reshape(first.shape)
    y = y * (1 if gamma is None else along(y, gamma, 1)) + (0 if beta is None else along(y, beta, 1))
    if cut.shape[2] > 1:
        agreed(y, torch.nn.functional.group_norm(torch.tensor(first), groups, tensor(gamma), tensor(beta), attrs["epsilon"]))
    return np.ascontiguousarray(np.moveaxis(y, 1, attrs["axis"]))


@golden("l2_normalize")
def l2_normalize(ins, attrs):
    x, axes = trailing(ins, attrs)
    return x / np.sqrt(np.maximum(np.sum(x * x, axis=axes, keepdims=True), attrs["epsilon"]))


@golden("sparse_softmax_cross_entropy")
def sparse_softmax_cross_entropy(ins, attrs):
    """Labels are class numbers along one axis of the logits; negative ones count from the end."""
    logits, labels = ins
    axis = attrs.get("axis", -1)
    where = np.expand_dims(labels % logits.shape[axis], axis).astype(np.int64)
    return -np.squeeze(np.take_along_axis(log_softmax([logits], attrs), where, axis), axis)


@golden("softmax_cross_entropy")
def softmax_cross_entropy(ins, attrs):
    logits, targets = ins
    return -np.sum(targets * log_softmax([logits], attrs), axis=attrs.get("axis", -1))


@golden("sigmoid_cross_entropy")
def sigmoid_cross_entropy(ins, attrs):
    logits, targets = ins
    return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
