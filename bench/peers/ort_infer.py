"""ONNX Runtime: one answer of the MLP 784-128-10 for one row. The file is made here (opset 17)."""
import clock

clock.pin()
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def mlp():
    random = np.random.default_rng(0)
    weights = {"w1": random.normal(0, 0.05, (784, 128)), "b1": np.zeros(128), "w2": random.normal(0, 0.1, (128, 10)), "b2": np.zeros(10)}
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["a"]),
             helper.make_node("Gemm", ["a", "w2", "b2"], ["y"])]
    graph = helper.make_graph(nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 784])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
                              [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = mlp()
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).random((1, 784), np.float32)
    us = clock.median_us(lambda _: session.run(None, {"x": x}), 20000, 200)
    clock.report("onnxruntime", "mlp_infer_n1", us)


main()
