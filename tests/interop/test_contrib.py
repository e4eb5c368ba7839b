"""Operators of com.microsoft, as ONNX Runtime's tools write them, against ONNX Runtime."""
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

MS = "com.microsoft"
rng = np.random.default_rng(7)


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def u8(*shape, low=0, high=256):
    return rng.integers(low, high, shape).astype(np.uint8)


def i8(*shape):
    return rng.integers(-127, 128, shape).astype(np.int8)


def scale(v):
    return np.asarray(v, np.float32)


def cache(positions, depth):
    angle = np.outer(np.arange(positions), 1.0 / 10000 ** (np.arange(depth) / depth))
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def case(name, op, inputs, attrs=None, outputs=1, domain=MS, constants=(), tolerance=2e-5, steps=0):
    """`constants`: the numbers of inputs that are initializers. `steps`: how many quantisation steps a result may be off."""
    return pytest.param(op, inputs, attrs or {}, outputs, domain, constants, tolerance, steps, id=name)


def filled(*lengths):
    """A buffer of keys for 6 positions, each sequence filled that far."""
    return f32(len(lengths), 1, 6, 8) * (np.arange(6) < np.reshape(lengths, (-1, 1, 1))).astype(np.float32)[..., None]


COS, SIN = cache(16, 4)
Q = [u8(2, 3, 4), scale(0.02), np.uint8(120), u8(2, 3, 4), scale(0.03), np.uint8(100), scale(0.05), np.uint8(110)]
IMAGE = [u8(1, 2, 5, 6), scale(0.02), np.uint8(120)]

CASES = [
    case("gelu", "Gelu", [f32(3, 5)]),
    case("quick_gelu", "QuickGelu", [f32(3, 5)], {"alpha": 1.5}),
    case("fast_gelu", "FastGelu", [f32(3, 5), f32(5)], tolerance=1e-3),
    case("bias_gelu", "BiasGelu", [f32(3, 5), f32(5)]),
    case("fused_matmul", "FusedMatMul", [f32(2, 4, 3), f32(2, 5, 4)], {"transA": 1, "transB": 1, "alpha": 0.5}),
    case("fused_matmul_batch", "FusedMatMul", [f32(4, 2, 3), f32(2, 3, 5)], {"transBatchA": 1}),
    case("skip_layer_norm", "SkipLayerNormalization", [f32(2, 3, 8), f32(2, 3, 8), f32(8), f32(8), f32(8)], {"epsilon": 1e-5}),
    case("skip_simplified", "SkipSimplifiedLayerNormalization", [f32(2, 3, 8), f32(2, 3, 8), f32(8)], {"epsilon": 1e-5}),
    case("simplified", "SimplifiedLayerNormalization", [f32(2, 3, 8), f32(8)], {"epsilon": 1e-5, "axis": -1}, domain=""),
    case("embed_layer_norm", "EmbedLayerNormalization",
         [np.array([[1, 2, 3], [0, 4, 2]], np.int32), np.array([[0, 0, 1], [1, 1, 0]], np.int32), f32(5, 8), f32(4, 8), f32(2, 8),
          f32(8), f32(8), np.array([[1, 1, 1], [1, 1, 0]], np.int32)], {"epsilon": 1e-6}, outputs=2, constants=(2, 3, 4, 5, 6)),
    case("attention", "Attention", [f32(2, 3, 8), f32(8, 24), f32(24)], {"num_heads": 2}, constants=(1, 2)),
    case("attention_mask", "Attention", [f32(2, 3, 8), f32(8, 24), f32(24), np.array([[1, 1, 0], [1, 1, 1]], np.int32)],
         {"num_heads": 2}, constants=(1, 2)),
    case("attention_lengths", "Attention", [f32(2, 3, 8), f32(8, 24), f32(24), np.array([2, 3], np.int32)],
         {"num_heads": 2}, constants=(1, 2)),
    case("attention_causal_past", "Attention", [f32(2, 3, 8), f32(8, 24), f32(24), None, f32(2, 2, 2, 2, 4)],
         {"num_heads": 2, "unidirectional": 1}, outputs=2, constants=(1, 2)),
    case("multi_head", "MultiHeadAttention", [f32(2, 3, 8), f32(2, 5, 8), f32(2, 5, 8), f32(24)], {"num_heads": 2}),
    case("multi_head_mask", "MultiHeadAttention",
         [f32(2, 3, 8), f32(2, 5, 8), f32(2, 5, 8), None, np.array([[1, 1, 1, 0, 0], [1] * 5], np.int32), f32(1, 2, 3, 5)], {"num_heads": 2}),
    case("multi_head_past", "MultiHeadAttention",
         [f32(2, 1, 8), f32(2, 1, 8), f32(2, 1, 8), None, None, None, f32(2, 2, 3, 4), f32(2, 2, 3, 4)], {"num_heads": 2}, outputs=3),
    case("grouped_prompt", "GroupQueryAttention",
         [f32(2, 3, 16), f32(2, 3, 8), f32(2, 3, 8), f32(2, 1, 0, 8), f32(2, 1, 0, 8), np.array([2, 2], np.int32), np.array([3], np.int32)],
         {"num_heads": 2, "kv_num_heads": 1}, outputs=3),
    case("grouped_rotary", "GroupQueryAttention",
         [f32(1, 1, 32), f32(1, 1, 16), f32(1, 1, 16), f32(1, 1, 4, 16), f32(1, 1, 4, 16), np.array([4], np.int32), np.array([5], np.int32), *cache(16, 8)],
         {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1}, outputs=3),
    case("grouped_window", "GroupQueryAttention",
         [f32(1, 4, 16), f32(1, 4, 8), f32(1, 4, 8), f32(1, 1, 0, 8), f32(1, 1, 0, 8), np.array([3], np.int32), np.array([4], np.int32)],
         {"num_heads": 2, "kv_num_heads": 1, "local_window_size": 2}, outputs=3),
    case("grouped_buffer", "GroupQueryAttention",
         [f32(2, 1, 16), f32(2, 1, 8), f32(2, 1, 8), filled(2, 4), filled(2, 4), np.array([2, 4], np.int32), np.array([5], np.int32)],
         {"num_heads": 2, "kv_num_heads": 1}, outputs=3, constants=(6,)),
    case("rotary", "RotaryEmbedding", [f32(2, 3, 16), np.array([[0, 1, 2], [4, 5, 6]], np.int64), COS, SIN]),
    case("rotary_first", "RotaryEmbedding", [f32(2, 2, 3, 8), np.array([3], np.int64), COS, SIN], {"interleaved": 1}),
    case("qlinear_add", "QLinearAdd", Q, constants=(1, 2, 4, 5, 6, 7), steps=1),
    case("qlinear_mul", "QLinearMul", Q, constants=(1, 2, 4, 5, 6, 7), steps=1),
    case("qlinear_sigmoid", "QLinearSigmoid", [u8(2, 6), scale(0.05), np.uint8(128), scale(1 / 256), np.uint8(0)], constants=(1, 2, 3, 4), steps=1),
    case("qlinear_leaky", "QLinearLeakyRelu", [u8(2, 6), scale(0.05), np.uint8(128), scale(0.05), np.uint8(100)], {"alpha": 0.1}, constants=(1, 2, 3, 4), steps=1),
    case("qlinear_softmax", "QLinearSoftmax", [u8(2, 6), scale(0.05), np.uint8(128), scale(1 / 256), np.uint8(0)], {"axis": -1, "opset": 13}, constants=(1, 2, 3, 4), steps=1),
    case("qlinear_softmax_old", "QLinearSoftmax", [u8(2, 3, 4), scale(0.05), np.uint8(128), scale(1 / 256), np.uint8(0)], {"axis": 1, "opset": 12}, constants=(1, 2, 3, 4), steps=1),
    case("qlinear_where", "QLinearWhere", [rng.random((2, 3, 4)) < 0.5, *Q], constants=(2, 3, 5, 6, 7, 8), steps=1),
    case("quantize_16", "QuantizeLinear", [f32(3, 4), scale(0.001), np.uint16(30000)], constants=(1, 2), steps=1),
    case("quantize_i16_axis", "QuantizeLinear", [f32(3, 4), np.float32([0.001, 0.002, 0.003]), np.zeros(3, np.int16)], {"axis": 0}, constants=(1, 2), steps=1),
    case("dequantize_16", "DequantizeLinear", [rng.integers(0, 65536, (3, 4)).astype(np.uint16), scale(0.001), np.uint16(30000)], constants=(1, 2)),
    case("qlinear_global", "QLinearGlobalAveragePool", IMAGE + [scale(0.02), np.uint8(100)], constants=(1, 2, 3, 4), steps=1),
    case("qlinear_average", "QLinearAveragePool", IMAGE + [scale(0.02), np.uint8(100)], {"kernel_shape": [2, 2], "strides": [2, 2]}, constants=(1, 2, 3, 4), steps=1),
    case("qlinear_concat", "QLinearConcat", [scale(0.05), np.uint8(110)] + Q[:6], {"axis": 1}, constants=(0, 1, 3, 4, 6, 7), steps=1),
    case("qlinear_conv", "QLinearConv", IMAGE + [i8(3, 2, 3, 3), f32(3, scale=0.01) ** 2 + np.float32(0.01), np.zeros(3, np.int8), scale(0.3), np.uint8(128)],
         {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, domain="", constants=(1, 2, 3, 4, 5, 6, 7), steps=1),
    case("integer_to_float", "MatMulIntegerToFloat", [u8(2, 4), u8(4, 3), scale(0.02), scale(0.03), np.uint8(120), np.uint8(100), f32(3)]),
    case("dynamic_quantize", "DynamicQuantizeMatMul", [f32(2, 4), u8(4, 3), scale(0.03), np.uint8(100), f32(3)], constants=(1, 2, 3, 4), tolerance=1e-4),
    case("dynamic_lstm", "DynamicQuantizeLSTM",
         [f32(4, 2, 3), i8(1, 3, 20), i8(1, 5, 20), f32(1, 40, scale=0.2), None, f32(1, 2, 5), f32(1, 2, 5), None, scale([0.01]), np.zeros(1, np.int8),
          scale([0.008]), np.zeros(1, np.int8)], {"hidden_size": 5}, outputs=3, constants=(1, 2, 3, 8, 9, 10, 11), tolerance=1e-4),
    case("dynamic_lstm_columns", "DynamicQuantizeLSTM",
         [f32(3, 1, 4), u8(2, 4, 12), u8(2, 3, 12), f32(2, 24, scale=0.2), None, None, None, None, f32(2, 12, scale=0.003) ** 2 + np.float32(0.01),
          np.full((2, 12), 120, np.uint8), f32(2, 12, scale=0.003) ** 2 + np.float32(0.01), np.full((2, 12), 130, np.uint8)],
         {"hidden_size": 3, "direction": "bidirectional"}, outputs=3, constants=(1, 2, 3, 8, 9, 10, 11), tolerance=1e-4),
    case("inverse", "Inverse", [f32(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)]),
    case("nhwc_max_pool", "NhwcMaxPool", [u8(1, 5, 6, 2)], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 0, 0]}),
    case("nbits", "MatMulNBits", [f32(2, 32), u8(3, 2, 8), f32(6), u8(3)], {"K": 32, "N": 3, "bits": 4, "block_size": 16, "weight_prepacked": 0}, constants=(1, 2, 3), tolerance=1e-4),
    case("fused_conv", "FusedConv", [f32(1, 2, 5, 5), f32(3, 2, 3, 3), f32(3)], {"activation": "Relu", "kernel_shape": [3, 3]}, constants=(1, 2)),
    case("max_roi_pool", "MaxRoiPool", [f32(2, 2, 6, 7), np.array([[0, 0, 0, 3, 4], [1, 1.5, 2, 6, 5], [1, 5, 4, 9, 9]], np.float32)],
         {"pooled_shape": [2, 3], "spatial_scale": 0.75}, domain=""),
    case("fused_gemm", "FusedGemm", [f32(2, 3), f32(3, 4), f32(4)], {"activation": "Tanh"}),
]


def elem(a):
    return helper.np_dtype_to_tensor_dtype(np.asarray(a).dtype)


def save(path, op, inputs, outputs, **attrs):
    node = helper.make_node(op, list(inputs), list(outputs), domain=MS, **attrs)
    info = lambda arrays: [helper.make_tensor_value_info(n, elem(a), np.shape(a)) for n, a in arrays.items()]
    graph = helper.make_graph([node], "g", info(inputs), info(outputs))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid(MS, 1)], ir_version=8), path)


@pytest.mark.parametrize("packed", ["all", "keys"])
def test_packed_heads(packed, tenon, tmp_path):
    """ONNX Runtime has packed queries, keys and values on other devices only: the same heads unpacked."""
    q, k, v = f32(2, 3, 2, 4), f32(2, 3, 2, 4), f32(2, 3, 2, 4)
    plain = {n: a.reshape(2, 3, 8) for n, a in zip("qkv", (q, k, v))}
    save(tmp_path / "plain.onnx", "MultiHeadAttention", plain, {"y": plain["q"]}, num_heads=2)
    want = onnxruntime.InferenceSession(str(tmp_path / "plain.onnx"), providers=["CPUExecutionProvider"]).run(None, plain)[0]
    feeds = {"q": np.stack([q, k, v], 3)} if packed == "all" else {"q": plain["q"], "k": np.stack([k, v], 3)}
    save(tmp_path / "packed.onnx", "MultiHeadAttention", feeds, {"y": want}, num_heads=2)
    np.savez(tmp_path / "in.npz", **feeds)
    tenon("run", tmp_path / "packed.onnx", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["y"], want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("op, inputs, attrs, outputs, domain, constants, tolerance, steps", CASES)
def test_equals_onnx_runtime(op, inputs, attrs, outputs, domain, constants, tolerance, steps, tenon, tmp_path):
    names = ["" if a is None else f"in{i}" for i, a in enumerate(inputs)]
    node = helper.make_node(op, names, [f"out{i}" for i in range(outputs)], domain=domain, **attrs)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(n, elem(a), np.shape(a)) for i, (n, a) in enumerate(zip(names, inputs)) if n and i not in constants],
        [onnx.ValueInfoProto(name=f"out{i}") for i in range(outputs)],
        [onnx.numpy_helper.from_array(np.asarray(inputs[i]), names[i]) for i in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)], ir_version=8)
    path = tmp_path / "model.onnx"
    # ONNX Runtime infers the types of the outputs; ours come from the run. With several threads DynamicQuantizeLSTM rounds
    # by parts of the batch, with one thread by the whole batch, as we do.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {n: np.asarray(a) for i, (n, a) in enumerate(zip(names, inputs)) if n and i not in constants}
    want = session.run(None, feeds)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(f"out{i}", elem(w), w.shape) for i, w in enumerate(want))
    onnx.save(model, path)
    np.savez(tmp_path / "in.npz", **feeds)
    for backend in ("ref", "cpu"):
        tenon("run", path, "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz", "--backend", backend)
        got = np.load(tmp_path / "out.npz")
        for i, w in enumerate(want):
            g = got[f"out{i}"]
            assert g.dtype == w.dtype and g.shape == w.shape, (g.dtype, g.shape, w.dtype, w.shape)
            if steps:
                assert np.abs(g.astype(np.int64) - w.astype(np.int64)).max() <= steps
            else:
                np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)


def test_quantized_mean(tenon, tmp_path):
    """ONNX Runtime has the definition alone: the mean of the real numbers, quantized."""
    x = u8(2, 3, 4)
    feeds = {"x": x, "s": scale(0.02), "z": np.asarray(120, np.uint8), "ys": scale(0.01), "yz": np.asarray(110, np.uint8)}
    want = np.clip(((x.astype(np.float64) - 120) * 0.02).mean((0, 2), keepdims=True) / 0.01 + 110, 0, 255)
    save(tmp_path / "mean.onnx", "QLinearReduceMean", feeds, {"y": np.zeros((1, 3, 1), np.uint8)}, axes=[0, 2], keepdims=1)
    np.savez(tmp_path / "in.npz", **feeds)
    tenon("run", tmp_path / "mean.onnx", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    got = np.load(tmp_path / "out.npz")["y"]
    assert got.shape == want.shape and np.abs(got - want).max() <= 0.51
