"""Operators that take and give maps, against ONNX Runtime, which holds them as dictionaries; ours are pairs of tensors,
NAME.keys and NAME.values."""
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper

ML = "ai.onnx.ml"


def save(path, nodes, inputs, outputs):
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(ML, 1)], ir_version=8), path)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def map_type(key, value):
    return helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, []))


def run(tenon, tmp_path, **arrays):
    np.savez(tmp_path / "in.npz", **arrays)
    for backend in ("ref", "cpu"):
        tenon("run", tmp_path / "model.onnx", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz", "--backend", backend)
        yield dict(np.load(tmp_path / "out.npz"))


def pair(name, dictionary, value=np.float32):
    return {f"{name}.keys": np.array(list(dictionary)), f"{name}.values": np.array(list(dictionary.values()), value)}


DICTS = {
    "texts": (T.STRING, {"string_vocabulary": ["a", "b", "c"]}, [{"b": 2.0, "z": 9.0, "a": 1.5}, {"q": 3.0}, {"c": -1.0, "b": 0.25, "a": 7.0}]),
    "numbers": (T.INT64, {"int64_vocabulary": [3, 7, -1]}, [{3: 2.0, -1: 1.5}, {4: 1.0}, {-1: 1.0, 5: 2.0, 7: 4.0}]),
}


@pytest.mark.parametrize("name", DICTS)
def test_dict_vectorizer(name, tenon, tmp_path):
    key, attrs, dictionaries = DICTS[name]
    x = helper.make_value_info("x", map_type(key, T.FLOAT))
    session = save(tmp_path / "model.onnx", [helper.make_node("DictVectorizer", ["x"], ["v"], domain=ML, **attrs), helper.make_node("Mul", ["v", "v"], ["y"])], [x], [helper.make_tensor_value_info("y", T.FLOAT, [1, 3])])
    for d in dictionaries:  # the number of keys changes between runs
        want = session.run(None, {"x": d})[0]
        for got in run(tenon, tmp_path, **pair("x", d)):
            np.testing.assert_array_equal(got["y"], want)


@pytest.mark.parametrize("form", ["DENSE", "SPARSE"])
@pytest.mark.parametrize("to", ["TO_FLOAT", "TO_INT64", "TO_STRING"])
def test_cast_map(form, to, tenon, tmp_path):
    attrs = {"cast_to": to, "map_form": form, **({"max_map": 4} if form == "SPARSE" else {})}
    kind = {"TO_FLOAT": T.FLOAT, "TO_INT64": T.INT64, "TO_STRING": T.STRING}[to]
    x = helper.make_value_info("x", map_type(T.INT64, T.FLOAT))
    session = save(tmp_path / "model.onnx", [helper.make_node("CastMap", ["x"], ["y"], domain=ML, **attrs)], [x], [helper.make_tensor_value_info("y", kind, [1, None])])
    for d in ({5: 1.5, 2: -2.75, 0: 3.0}, {1: 8.0}, {3: 0.5, 7: 1.0, 1: 2.0, 2: 9.0}):
        want = session.run(None, {"x": d})[0]
        for got in run(tenon, tmp_path, **pair("x", d)):
            y = got["y"]
            assert y.shape == want.shape
            if to == "TO_STRING":  # ONNX Runtime writes 3.000000, we write 3
                assert ["%f" % float(t) if t != "0.f" else t for t in y[0]] == want[0].tolist()
            else:
                assert y.dtype == want.dtype
                np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("labels", [[1, 5, 7], ["ham", "eggs", "spam"]], ids=["numbers", "texts"])
def test_zip_map(labels, tenon, tmp_path):
    kind, key = ("classlabels_strings", T.STRING) if isinstance(labels[0], str) else ("classlabels_int64s", T.INT64)
    x = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    node = helper.make_node("ZipMap", ["x"], ["y"], domain=ML, **{kind: labels})
    session = save(tmp_path / "model.onnx", [node], [helper.make_tensor_value_info("x", T.FLOAT, [None, 3])], [helper.make_value_info("y", helper.make_sequence_type_proto(map_type(key, T.FLOAT)))])
    want = session.run(None, {"x": x})[0]
    for got in run(tenon, tmp_path, x=x):
        assert got["y.keys"].tolist() == labels
        assert [dict(zip(got["y.keys"].tolist(), row)) for row in got["y.values"]] == want
    shown = tenon("inspect", tmp_path / "model.onnx")
    assert "y.keys" in shown and "y.values" in shown
