"""The models of the serving rows as ONNX files, and the requests to them as bytes."""
import json
import struct

MLP, IMAGE = (1, 784), (1, 224, 224, 3)


def varint(value):
    out = []
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, payload):
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def predict_request(shape, values, content):
    """A PredictRequest to the model m of one f32 tensor x: as tensor_content, or as float_val."""
    dims = b"".join(field(2, b"\x08" + varint(d)) for d in shape)
    tensor = b"\x08\x01" + field(2, dims) + field(4 if content else 5, struct.pack(f"<{len(values)}f", *values))
    return field(1, field(1, b"m")) + field(2, field(1, b"x") + field(2, tensor))


def http_request(values):
    """A whole HTTP/1.1 request; numbers in their shortest form, as clients' JSON libraries write them."""
    body = json.dumps({"instances": [values]}).encode()
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def write_requests(folder):
    """Files: mlp.grpc, mlp.http, short.http (four digits behind the point), image.grpc."""
    import numpy as np
    values = np.random.default_rng(1).random(MLP[1], dtype=np.float32)
    (folder / "mlp.grpc").write_bytes(predict_request(MLP, values.tolist(), False))
    (folder / "mlp.http").write_bytes(http_request([float(str(v)) for v in values]))
    (folder / "short.http").write_bytes(http_request([round(float(v), 4) for v in values]))
    (folder / "image.grpc").write_bytes(predict_request(IMAGE, [0.5] * (224 * 224 * 3), True))


def write_models(folder, many):
    """An MLP 784-128-10, a model of its shapes that computes nothing (the first ten of the 784), the identity on images,
    and `many` MLPs of other names, in version folders."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    rng = np.random.default_rng(0)

    def save(name, nodes, ins, outs, weights=()):
        graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ins)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, outs)],
                                  initializer=[numpy_helper.from_array(w if w.dtype.kind == "i" else w.astype("f"), n) for n, w in weights])
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / name / "1/model.onnx"))

    def mlp(name):
        weights = [("w0", rng.normal(size=(784, 128)) / 28), ("b0", rng.normal(size=128)), ("w1", rng.normal(size=(128, 10)) / 11), ("b1", rng.normal(size=10))]
        save(name, [helper.make_node("Gemm", ["x", "w0", "b0"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
                    helper.make_node("Gemm", ["r", "w1", "b1"], ["y"])], ["n", 784], ["n", 10], weights)
        return sum(w.size * 4 for _, w in weights)

    weights = mlp("mlp")
    save("trivial", [helper.make_node("Split", ["x", "sizes"], ["y", "rest"], axis=1)], ["n", 784], ["n", 10], [("sizes", np.array([10, 774]))])
    save("image", [helper.make_node("Relu", ["x"], ["y"])], ["n", 224, 224, 3], ["n", 224, 224, 3])
    for i in range(many):
        mlp(f"many{i}")
    config = "\n".join(f'  config {{ name: "m{i}" base_path: "{(folder / f"many{i}").resolve()}" model_platform: "tensorflow" }}' for i in range(many))
    (folder / "many.config").write_text(f"model_config_list {{\n{config}\n}}\n")
    return weights
