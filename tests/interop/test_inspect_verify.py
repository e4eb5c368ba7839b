"""verify --layers and inspect --html on a real model: tensors that ONNX Runtime recorded inside, and a planted fault."""
import os
import pathlib
import re
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

MODEL = pathlib.Path(os.environ.get("TENON_TEST_DATA", "../shared")) / "fixtures" / "onnx" / "resnet_unfolded"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The model, every value inside as ONNX Runtime computes it, a copy with one wrong epsilon, and the fault's node and value."""
    if not MODEL.exists():
        pytest.skip(f"no {MODEL}")
    folder = tmp_path_factory.mktemp("verify")
    model = onnx.load(MODEL / "model.onnx")
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    outputs = {o.name for o in model.graph.output}
    open_model.graph.output.extend(onnx.ValueInfoProto(name=o) for n in model.graph.node for o in n.output if o not in outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(open_model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    io = np.load(MODEL / "io.npz")
    feeds = {i.name: io[f"in.{i.name}"] for i in session.get_inputs()}
    values = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
    np.savez(folder / "recorded.npz", **feeds, **values)
    broken = [n for n in model.graph.node if n.op_type == "BatchNormalization"][7]
    kept = [a for a in broken.attribute if a.name != "epsilon"]
    del broken.attribute[:]
    broken.attribute.extend([*kept, helper.make_attribute("epsilon", 1e-2)])
    onnx.save(model, folder / "broken.onnx")
    return MODEL / "model.onnx", folder / "recorded.npz", folder / "broken.onnx", broken.name, broken.output[0]


def verify(build, *args):
    done = subprocess.run([str(build / "bin" / "tenon"), "verify", *map(str, args), "--layers"], capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout


def test_recorded_tensors(files, build):
    model, recorded, broken, node, value = files
    status, said = verify(build, model, recorded)
    assert status == 0 and "verdict: rounding" in said, said
    assert int(re.search(r"(\d+) of \d+ values inside were compared", said)[1]) > 60
    status, said = verify(build, broken, recorded)
    assert status == 1 and f'first difference at "{value}"' in said and node in said, said


def test_another_model(files, build):
    model, _, broken, node, value = files
    status, said = verify(build, model, broken)
    assert status == 1 and f'first difference at "{value}" (batch_norm of node "{node}")' in said, said
    last = said[said.index("first difference"):]
    for word in ("max abs", "max rel", "max ulp", "cosine", "rounding explains", "attribute epsilon"):
        assert word in last, last


def test_page(files, tenon, tmp_path):
    """Graph, layers with shapes and costs, weights; nothing outside of the page."""
    model = files[0]
    said = tenon("inspect", model, "--html", tmp_path / "page.html")
    for line in ("input     x : f32[batch, 3, 32, 32]", "output    y : f32[batch, 10]", "opset       ai.onnx 18", "BatchNormalization x20", "parameters  ", "flops ", "memory "):
        assert line in said, line
    page = (tmp_path / "page.html").read_text()
    assert set(re.findall(r"https?:[^\"' <)]*", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|iframe|img)|src=|@import", page)
    for head in ("layer", "operator", "result", "FLOPs", "share", "weights"):
        assert f"<th>{head}" in page, head
    graph = onnx.load(model).graph
    for node in graph.node:
        if node.op_type in ("Conv", "BatchNormalization"):
            assert node.output[0] in page, node.name
    assert page.count("<svg") >= 1 and page.count("<rect") >= 60
