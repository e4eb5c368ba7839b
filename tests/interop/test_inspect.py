"""What `tenon inspect` says of ONNX files, against the files read by the onnx package."""
import collections
import json
import os
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

DATA = os.environ.get("TENON_TEST_DATA")
ROOT = pathlib.Path(DATA) / "fixtures" / "onnx" if DATA else None
FLOATS = (T.FLOAT, T.FLOAT16, T.BFLOAT16, T.DOUBLE)


def graphs(model):
    """All lists of nodes, and all stored tensors."""
    nodes, tensors, todo = [], list(model.graph.initializer), [model.graph.node, *(f.node for f in model.functions)]
    for f in todo:
        for node in f:
            nodes.append(node)
            for a in node.attribute:
                if node.op_type == "Constant" and a.name == "value":
                    tensors.append(a.t)
                for g in [*a.graphs, *([a.g] if a.type == onnx.AttributeProto.GRAPH else [])]:
                    todo.append(g.node)
                    tensors.extend(g.initializer)
    return nodes, tensors


def weights(tensors):
    sizes = [(t, int(np.prod(t.dims))) for t in tensors]
    return sum(n for t, n in sizes if n > (1 if t.data_type in FLOATS else 64))


@pytest.mark.skipif(ROOT is None or not ROOT.is_dir(), reason="no fixtures/onnx under TENON_TEST_DATA")
def test_every_fixture(tenon):
    seen, same_weights, costed = 0, 0, 0
    for path in sorted(ROOT.glob("*/model.onnx")):
        name = path.parent.name
        shown = json.loads(tenon("inspect", path, "--json"))
        model = onnx.load(path, load_external_data=False)
        nodes, tensors = graphs(model)
        stored = {t.name for t in model.graph.initializer} | {s.values.name for s in model.graph.sparse_initializer}
        (signature,) = shown["signatures"]
        assert [i["name"] for i in signature["inputs"]] == [i.name for i in model.graph.input if i.name not in stored], name
        assert [o["name"] for o in signature["outputs"]] == [o.name for o in model.graph.output], name
        assert all(i["type"] for i in signature["inputs"] + signature["outputs"]), name
        assert shown["opsets"] == {o.domain or "ai.onnx": o.version for o in model.opset_import}, name
        assert shown["operators"] == collections.Counter(n.op_type if n.domain in ("", "ai.onnx") else f"{n.domain}::{n.op_type}" for n in nodes), name
        assert shown["unsupported"] == [], name
        same_weights += shown["parameters"] == weights(tensors)
        costed += signature["peak_activation_bytes"] > 0 and (signature["flops"] > 0)
        text = tenon("inspect", path)
        for word in ("input ", "output ", "opset ", "operators ", "parameters ", "flops ", "memory "):
            assert word in text, (name, word)
        seen += 1
    assert seen == 232
    # The others: what nobody reads does not count, nor what became an attribute; what is computed of constants does.
    assert same_weights >= 197
    assert costed >= 220


def save(path, nodes, inputs, outputs, initializers=(), opset=17):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)


def tensor(name, *dims):
    return onnx.numpy_helper.from_array(np.ones(dims, np.float32), name)


def test_costs_by_hand(tenon, tmp_path):
    x, y = helper.make_tensor_value_info("x", T.FLOAT, ["n", 3, 32, 32]), helper.make_tensor_value_info("y", T.FLOAT, None)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4, strides=[2, 2]), helper.make_node("Relu", ["c"], ["r"]), helper.make_node("Flatten", ["r"], ["f"]), helper.make_node("MatMul", ["f", "m"], ["y"])]
    save(tmp_path / "m.onnx", nodes, [x], [y], [tensor("w", 8, 3, 3, 3), tensor("b", 8), tensor("m", 8 * 256, 10)])
    for batch in (1, 5):
        shown = json.loads(tenon("inspect", tmp_path / "m.onnx", "--json", "--batch", batch))
        pixels = 8 * 256 * batch
        assert shown["signatures"][0]["flops"] == pixels * 27 * 2 + pixels + pixels + 2 * 8 * 256 * 10 * batch
        assert shown["parameters"] == 8 * 27 + 8 + 8 * 256 * 10
        assert shown["weight_bytes"] == 4 * shown["parameters"]
        assert shown["signatures"][0]["peak_activation_bytes"] >= 4 * (3 * 32 * 32 * batch + pixels)


def test_nodes_in_the_way_are_named(build, tmp_path):
    x, y = helper.make_tensor_value_info("x", T.FLOAT, [2, 3]), helper.make_tensor_value_info("y", T.FLOAT, [2, 3])
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Strange", ["r"], ["s"], name="first_one"), helper.make_node("Odd", ["s"], ["y"], name="second_one")]
    save(tmp_path / "m.onnx", nodes, [x], [y])
    done = subprocess.run([str(build / "bin" / "tenon"), "inspect", str(tmp_path / "m.onnx")], capture_output=True, text=True, check=False)
    assert "first_one" in done.stdout and "second_one" in done.stdout and "Relu" in done.stdout, done.stdout + done.stderr


def test_free_dims_that_cannot_be_one(tenon, tmp_path):
    x, y = helper.make_tensor_value_info("x", T.FLOAT, ["n", 2, "time"]), helper.make_tensor_value_info("y", T.FLOAT, None)
    save(tmp_path / "m.onnx", [helper.make_node("Conv", ["x", "w"], ["y"])], [x], [y], [tensor("w", 3, 2, 5)])
    text = tenon("inspect", tmp_path / "m.onnx")
    assert "free dims behind the first are 8" in text
    assert json.loads(tenon("inspect", tmp_path / "m.onnx", "--json"))["signatures"][0]["flops"] == 2 * 3 * 4 * 10
