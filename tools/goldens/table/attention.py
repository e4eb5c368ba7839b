"""Attention and what belongs to it."""
import numpy as np
import torch

from registry import golden


def split(x, heads):
    """[batch, heads, length, depth] of a value with its heads packed."""
    return x if heads == 0 else x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


@golden("attention")
def attention(ins, attrs):
    """From the formula; PyTorch's scaled_dot_product_attention must say the same where it has no cap."""
    q, k, v, mask, past_k, past_v, lengths = [*ins, *[None] * 4][:7]
    q_heads, kv_heads = attrs.get("q_heads", 0), attrs.get("kv_heads", 0)
    q, k, v = split(q, q_heads), split(k, kv_heads), split(v, kv_heads)
    new = k.shape[2]
    if past_k is not None:
        k, v = np.concatenate([past_k, k], axis=2), np.concatenate([past_v, v], axis=2)
    rows, total = q.shape[2], k.shape[2]
    bias = np.zeros((q.shape[0], q.shape[1], rows, total))
    if mask is not None:
        bias = bias + (np.where(mask, 0, -np.inf) if mask.dtype == bool else mask)
    before = np.full(len(q), total - new) if lengths is None else lengths - rows
    at = np.arange(total)
    for b in range(len(q)):
        if attrs.get("causal"):
            bias[b][:, at > np.arange(rows)[:, None] + before[b]] = -np.inf
        if lengths is not None:
            bias[b, ..., at >= lengths[b]] = -np.inf
    scale, cap = attrs.get("scale", q.shape[3] ** -0.5), attrs.get("softcap", 0)
    each = q.shape[1] // k.shape[1]
    product = np.einsum("bhid,bhjd->bhij", q, k.repeat(each, axis=1)) * scale
    capped = np.tanh(product / cap) * cap if cap else product
    masked = capped + bias
    most = masked.max(axis=-1, keepdims=True, initial=-np.inf)
    powers = np.where(masked == -np.inf, 0, np.exp(masked - np.where(most == -np.inf, 0, most)))
    sums = powers.sum(axis=-1, keepdims=True)
    weights = powers / np.where(sums == 0, 1, sums)
    y = np.einsum("bhij,bhjd->bhid", weights, v.repeat(each, axis=1))
    if not cap and total > 0:
        other = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, (q, k, v, bias)), scale=scale, enable_gqa=each > 1)
        np.testing.assert_allclose(y, other.numpy(), rtol=1e-12, atol=1e-13)
    if q_heads:
        y = y.swapaxes(1, 2).reshape(len(q), rows, -1)
    return [y, k, v, {"product": product, "capped": capped, "masked": masked, "weights": weights}[attrs.get("scores", "product")]]


@golden("rotary_embedding")
def rotary_embedding(ins, attrs):
    """Pairs as complex numbers, times cos + i sin; PyTorch's complex numbers must say the same as NumPy's real ones."""
    x, cos, sin, positions = [*ins, None][:4]
    packed = attrs.get("heads", 0)
    rows = split(x, packed)
    cos, sin = (table if positions is None else table[positions] for table in (cos, sin))
    cos, sin = cos[:, None], sin[:, None]
    half = cos.shape[-1]
    first, second = (slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if attrs.get("interleaved") else (slice(0, half), slice(half, 2 * half))
    y = rows.copy()
    y[..., first] = rows[..., first] * cos - rows[..., second] * sin
    y[..., second] = rows[..., first] * sin + rows[..., second] * cos
    pairs = torch.complex(*(torch.tensor(rows[..., s].copy()) for s in (first, second)))
    turned = (pairs * torch.complex(torch.tensor(cos), torch.tensor(sin))).numpy()
    np.testing.assert_allclose(y[..., first] + 1j * y[..., second], turned, rtol=1e-12, atol=1e-13)
    return np.ascontiguousarray(y.swapaxes(1, 2).reshape(x.shape)) if packed else y
