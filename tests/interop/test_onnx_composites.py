"""Composites are written as the operator that ONNX has for them, from the opset on that has it, and by their lowering
below. Whatever the form, the checker passes and ONNX Runtime gives PyTorch's numbers."""
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import helper

RNG = np.random.default_rng(5)


def f32(*dims):
    return RNG.standard_normal(dims).astype(np.float32)


def t(x):
    return torch.tensor(x)


# name, operator, the opset of the source, the first that writes it by name, inputs, attributes, PyTorch's outputs.
CASES = []


def case(name, op, source, since, arrays, attributes, *want):
    CASES.append(pytest.param(op, source, since, arrays, attributes, [w.numpy() for w in want], id=name))


x, scale, bias = f32(2, 6, 5, 4), f32(6), f32(6)
case("group", "GroupNormalization", 21, 21, [x, scale, bias], {"num_groups": 3, "epsilon": 1e-3}, F.group_norm(t(x), 3, t(scale), t(bias), 1e-3))
case("group_of_18", "GroupNormalization", 18, 21, [x, scale[:3], bias[:3]], {"num_groups": 3},
     F.group_norm(t(x), 3, t(np.repeat(scale[:3], 2)), t(np.repeat(bias[:3], 2))))
case("instance", "InstanceNormalization", 13, 13, [x, scale, bias], {}, F.instance_norm(t(x), weight=t(scale), bias=t(bias)))
far = [a.astype(np.float64) for a in (x, scale, bias)]
far[0] += 1e4  # the squares take more digits than f32 has
case("group_f64", "GroupNormalization", 21, 21, far, {"num_groups": 3}, F.group_norm(t(far[0]), 3, t(far[1]), t(far[2])))
plane, offset = f32(5, 4), f32(5, 4)
case("layer_f64", "LayerNormalization", 17, 17, [far[0], plane.astype(np.float64)], {"axis": 2}, F.layer_norm(t(far[0]), (5, 4), t(plane.astype(np.float64))))
case("rms_f64", "RMSNormalization", 23, 23, [far[0], plane.astype(np.float64)], {"axis": 2}, F.rms_norm(t(far[0]), (5, 4), t(plane.astype(np.float64)), 1e-5))
case("layer", "LayerNormalization", 17, 17, [x, plane, offset], {"axis": 2}, F.layer_norm(t(x), (5, 4), t(plane), t(offset)))
case("rms", "RMSNormalization", 23, 23, [x, plane], {"axis": 2, "epsilon": 1e-3}, F.rms_norm(t(x), (5, 4), t(plane), 1e-3))


def sdpa(q, k, v, **more):
    return F.scaled_dot_product_attention(t(q), t(k), t(v), enable_gqa=q.shape[1] > k.shape[1], **more)


def packed(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


q, k, v, mask = f32(2, 4, 3, 8), f32(2, 2, 5, 8), f32(2, 2, 5, 6), f32(2, 1, 3, 5)
seen = RNG.random((3, 5)) < 0.6
seen[1] = False
case("attention", "Attention", 23, 23, [q, k, v], {"scale": 0.25}, sdpa(q, k, v, scale=0.25))
case("attention_causal", "Attention", 23, 23, [q, k, v], {"is_causal": 1}, sdpa(q, k, v, is_causal=True))
case("attention_additive", "Attention", 24, 23, [q, k, v, mask], {}, sdpa(q, k, v, attn_mask=t(mask)))
case("attention_column", "Attention", 23, 23, [q, k, v, mask[..., :1]], {}, sdpa(q, k, v, attn_mask=t(mask[..., :1])))
case("attention_choice", "Attention", 24, 23, [q, k, v, seen], {}, sdpa(q, k, v, attn_mask=t(seen)))
case("attention_packed", "Attention", 23, 23, [packed(q), packed(k), packed(v)], {"q_num_heads": 4, "kv_num_heads": 2},
     t(packed(sdpa(q, k, v).numpy())))
past_k, past_v = f32(2, 2, 4, 8), f32(2, 2, 4, 6)
all_k, all_v = np.concatenate([past_k, k], 2), np.concatenate([past_v, v], 2)
after = torch.tensor(np.tril(np.ones((3, 9), bool), 4))
case("attention_past", "Attention", 23, 23, [q, k, v, None, past_k, past_v], {"is_causal": 1},
     sdpa(q, all_k, all_v, attn_mask=after), t(all_k), t(all_v))


def turned(x, angles, interleaved=False):
    """Pairs of the first features as complex numbers, turned by angles [batch, length, pairs]; x is [batch, heads, length, depth]."""
    half = angles.shape[-1]
    part = t(x[..., :2 * half].copy())
    pairs = part.unflatten(-1, (half, 2)) if interleaved else part.unflatten(-1, (2, half)).transpose(-1, -2)
    y = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones(angles.shape), t(angles))[:, None])
    y = (y if interleaved else y.transpose(-1, -2)).flatten(-2)
    return torch.cat([y, t(x[..., 2 * half:].copy())], -1)


x, table, places = f32(2, 3, 4, 8), f32(9, 4), RNG.integers(0, 9, (2, 4))
case("rotary", "RotaryEmbedding", 23, 23, [x, np.cos(table), np.sin(table), places], {}, turned(x, table[places]))
# ONNX has no rotary embedding of f64: it is never written by name.
case("rotary_f64", "RotaryEmbedding", 23, 99, [x.astype(np.float64), np.cos(table).astype(np.float64), np.sin(table).astype(np.float64), places], {}, turned(x, table[places]).double())
case("rotary_interleaved", "RotaryEmbedding", 23, 23, [x, np.cos(table[places]), np.sin(table[places])], {"interleaved": 1}, turned(x, table[places], True))
case("rotary_packed", "RotaryEmbedding", 23, 23, [packed(x), np.cos(table[:, :2]), np.sin(table[:, :2]), places], {"num_heads": 3, "rotary_embedding_dim": 4},
     t(packed(turned(x, table[places][..., :2]).numpy())))


@pytest.mark.parametrize("opset", [17, 20, 21, 23, 24])
@pytest.mark.parametrize("op,source,since,arrays,attributes,want", CASES)
def test_by_name_or_lowered(op, source, since, arrays, attributes, want, opset, tenon, tmp_path):
    kinds = [helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays if a is not None]
    names = [f"in{i}" if a is not None else "" for i, a in enumerate(arrays)]
    given = [n for n in names if n]
    graph = helper.make_graph([helper.make_node(op, names, [f"out{i}" for i in range(len(want))], **attributes)], "one",
                              [helper.make_tensor_value_info(n, k, a.shape) for n, k, a in zip(given, kinds, [a for a in arrays if a is not None])],
                              [helper.make_tensor_value_info(f"out{i}", helper.np_dtype_to_tensor_dtype(w.dtype), w.shape) for i, w in enumerate(want)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", source)], ir_version=10), tmp_path / "in.onnx")
    tenon("convert", tmp_path / "in.onnx", tmp_path / "out.onnx", "--opset", opset)
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert sum(n.op_type == op for n in model.graph.node) == (opset >= since)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, dict(zip(given, [a for a in arrays if a is not None])))
    for g, w in zip(got, want):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-5)


def test_a_mask_of_one_column_and_unknown_length_serves_all_keys(tenon, tmp_path):
    """What ONNX's mask does not reach is hidden; ours is repeated."""
    types = [("q", [2, 4, 3, 8]), ("k", [2, 2, "n", 8]), ("v", [2, 2, "n", 6]), ("m", [2, 1, 3, "c"])]
    graph = helper.make_graph([helper.make_node("Attention", [n for n, _ in types], ["y"])], "one",
                              [helper.make_tensor_value_info(n, 1, d) for n, d in types], [helper.make_tensor_value_info("y", 1, [2, 4, 3, 6])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), tmp_path / "in.onnx")
    tenon("convert", tmp_path / "in.onnx", tmp_path / "out.onnx", "--opset", 24)
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [n.op_type for n in model.graph.node].count("Attention") == 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for m in (mask, mask[..., :1]):
        got = session.run(None, {"q": q, "k": k, "v": v, "m": m})[0]
        np.testing.assert_allclose(got, sdpa(q, k, v, attn_mask=t(m)).numpy(), rtol=2e-5, atol=2e-5)


def test_a_convolution_of_integers_runs_elsewhere(tenon, tmp_path):
    """Zero points that differ between the channels are not ConvInteger's: the sums are f32's, all exact."""
    x, w = (RNG.integers(0, 256, dims).astype(np.uint8) for dims in ((1, 1, 5, 5), (3, 1, 3, 3)))
    zeros = np.array([3, 200, 7], np.uint8)
    graph = helper.make_graph([helper.make_node("ConvInteger", ["x", "w", "", "z"], ["y"])], "one", [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, x.shape)],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, [1, 3, 3, 3])], [onnx.numpy_helper.from_array(a, n) for n, a in (("w", w), ("z", zeros))])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "in.onnx")
    tenon("convert", tmp_path / "in.onnx", tmp_path / "out.onnx", "--opset", 21)
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    got = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    want = F.conv2d(t(x.astype(np.float64)), t(w - zeros.reshape(3, 1, 1, 1).astype(np.float64))).numpy()
    np.testing.assert_array_equal(got, want)
