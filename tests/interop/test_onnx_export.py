"""What we write as ONNX passes the checker and gives the same numbers in ONNX Runtime: fixtures of many kinds at every
opset from 13 to 28, one of them with its weights in a side file."""
import os
import pathlib
import re
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest

FIXTURES = pathlib.Path(os.environ.get("TENON_TEST_DATA", "../shared")) / "fixtures" / "onnx"
NAMES = ("act_smooth act_piecewise attention_op23 bert bucketize cnn_op18 cond conv1d conv2d conv3d conv_transpose2d convnext crnn_old17 cumulative decoder einsum embedding encoder_prenorm functions gather_scatter gpt_cache_op18 "
         "gru lstm_bi2 llama_block_op23 loop_for math_unary mixer mobilenet_v3_op18 names norms_2d norms_seq pad pixel_shuffle pool_avg pool_max q_cnn_qdq reduce resize_modes resnet_unfolded rnn_relu_bi scan sdpa_op23 slicing "
         "sort_topk split_join tf_cnn unet_bilinear vit").split()
NEWEST = onnx.defs.onnx_opset_version()
# ONNX Runtime refuses opsets that it does not know.
RUNTIME_NEWEST = 25


def opsets(i):
    return sorted({13 + i % 16, 17 + i % 8, 21})


def cases():
    return [(name, opset) for i, name in enumerate(NAMES) for opset in opsets(i)]


@pytest.fixture(scope="session")
def fixtures():
    if not FIXTURES.exists():
        pytest.skip(f"no {FIXTURES}")
    return FIXTURES


# What an opset has no form for, and what is said of it.
REFUSED = {("embedding", 13): "a seq<f32[*]> that a graph inside gives has no form in ONNX opset 13 (UNIMPLEMENTED)"}


@pytest.mark.parametrize("name,opset", cases())
def test_checker_and_runtime(name, opset, fixtures, tenon, tmp_path):
    source = fixtures / name / "model.onnx"
    out = tmp_path / "out.onnx"
    if (name, opset) in REFUSED:
        with pytest.raises(AssertionError, match=re.escape(REFUSED[name, opset])):
            tenon("convert", source, out, "--opset", opset, "--no-verify")
        return
    tenon("convert", source, out, "--opset", opset, "--no-verify")
    model = onnx.load(out)
    assert {d.domain: d.version for d in model.opset_import}[""] == opset
    if opset <= NEWEST:
        onnx.checker.check_model(str(out), full_check=True)
    before = onnx.load(source, load_external_data=False)
    initial = {t.name for t in before.graph.initializer}
    assert [i.name for i in model.graph.input] == [i.name for i in before.graph.input if i.name not in initial]
    assert [o.name for o in model.graph.output] == [o.name for o in before.graph.output]
    if opset > RUNTIME_NEWEST:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
    for io in ("io.npz", "io2.npz"):
        if not (fixtures / name / io).exists():
            continue
        arrays = np.load(fixtures / name / io)
        got = session.run(None, {i.name: arrays[f"in.{i.name}"] for i in session.get_inputs()})
        for value, o in zip(got, session.get_outputs()):
            want = arrays[f"out.{o.name}"]
            if name.startswith("q_"):  # one step of quantization may differ
                assert np.mean(np.abs(value - want) > 1e-4) < 0.05
            else:
                np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-5)


def test_external_data_and_metadata(tenon, tmp_path, fixtures):
    """A model with side files is read, and what is written has the producer's metadata."""
    source = fixtures / "mlp_external" / "model.onnx"
    tenon("convert", source, tmp_path / "out.onnx")
    onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)
    assert onnx.load(tmp_path / "out.onnx").producer_name == "tenon"


def test_what_the_model_says_of_itself_is_kept(tenon, tmp_path, fixtures):
    model = onnx.load(fixtures / "cnn_op18" / "model.onnx")
    model.domain, model.model_version, model.doc_string = "org.example", 7, "Tells digits apart."
    onnx.helper.set_model_props(model, {"author": "somebody", "labels": "0,1,2"})
    onnx.save(model, tmp_path / "in.onnx")
    tenon("convert", tmp_path / "in.onnx", tmp_path / "out.onnx", "--no-verify")
    out = onnx.load(tmp_path / "out.onnx")
    for field in ("domain", "model_version", "doc_string"):
        assert getattr(out, field) == getattr(model, field)
    assert out.graph.name == model.graph.name
    props = {p.key: p.value for p in out.metadata_props}
    assert props["author"] == "somebody" and props["labels"] == "0,1,2"


# What ONNX Runtime does not run, and why; the checker takes all of them.
NOT_RUN = {
    "bitwise": "Where of bytes", "conv2d_old13": "dilations beside auto_pad", "dtype_bfloat16": "Add of bfloat16", "dtype_mixed": "Gemm of float64",
    "indexing": "OneHot of these types", "loop_zero": "a Scan of no steps", "strings": "a locale that the machine may lack",
}


def test_every_fixture_keeps_its_names_and_passes_the_checker_and_runs(tenon, tmp_path, fixtures):
    def dims(value):
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    named = runs = 0
    for path in sorted(fixtures.glob("*/model.onnx")):
        name = path.parent.name
        before = onnx.load(path, load_external_data=False).graph
        initial = {t.name for t in before.initializer} | {t.values.name for t in before.sparse_initializer}
        out = tmp_path / "out.onnx"
        tenon("convert", path, out, "--opset", 21 if "op23" not in name else 23, "--no-verify")
        onnx.checker.check_model(str(out), full_check=True)
        after = onnx.load(out).graph
        assert [(i.name, dims(i)) for i in after.input] == [(i.name, dims(i)) for i in before.input if i.name not in initial], name
        assert [o.name for o in after.output] == [o.name for o in before.output], name
        named += sum(isinstance(d, str) for i in after.input for d in dims(i))
        if name in NOT_RUN:
            continue
        session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
        arrays = np.load(path.parent / "io.npz")
        got = session.run(None, {i.name: arrays[f"in.{i.name}"] for i in session.get_inputs()})
        for value, o in zip(got, session.get_outputs()):
            want = arrays[f"out.{o.name}"]
            if value.dtype == object:
                assert (value.astype(str) == want.astype(str)).all(), name
            elif name.startswith("q_"):  # one step of quantization may differ
                assert np.mean(np.abs(value - want) > 1e-4) < 0.05, name
            else:
                half = value.dtype == np.float16 or "half" in name
                np.testing.assert_allclose(value, want, rtol=1e-2 if half else 1e-4, atol=2e-3 if half else 1e-5, err_msg=name)
        runs += 1
    assert named > 250 and runs >= 225


def test_external_data_is_written_above_a_threshold(tenon, tmp_path, fixtures):
    """Weights of 256 bytes and more stand in a side file that ONNX Runtime finds; the smaller ones stay in the model."""
    source = fixtures / "bert" / "model.onnx"
    out = tmp_path / "out.onnx"
    tenon("convert", source, out, "--external-data", 256, "--no-verify")
    side = tmp_path / "out.onnx.data"
    assert side.stat().st_size > 4096
    onnx.checker.check_model(str(out), full_check=True)
    tensors = onnx.load(out, load_external_data=False).graph.initializer
    outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
    assert outside and len(outside) < len(tensors)
    for t in outside:
        where = {e.key: e.value for e in t.external_data}
        assert where["location"] == side.name and int(where["offset"]) % 4096 == 0 and int(where["length"]) >= 256
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
    arrays = np.load(fixtures / "bert" / "io.npz")
    got = session.run(None, {i.name: arrays[f"in.{i.name}"] for i in session.get_inputs()})
    for value, o in zip(got, session.get_outputs()):
        np.testing.assert_allclose(value, arrays[f"out.{o.name}"], rtol=1e-4, atol=1e-5)
    # Without a threshold the weights stand in the model again.
    tenon("convert", out, tmp_path / "again.onnx", "--no-verify")
    assert not (tmp_path / "again.onnx.data").exists()


def test_saved_models_pass_the_checker(build, tmp_path, fixtures):
    """What TensorFlow and Keras wrote, as ONNX: all but those that ONNX has no form for."""
    written = 0
    for path in sorted((fixtures.parent / "savedmodel").glob("*/saved_model.pb")):
        done = subprocess.run([str(build / "bin" / "tenon"), "convert", str(path.parent), str(tmp_path / "out.onnx"), "--opset", "21", "--no-verify"],
                              capture_output=True, text=True, timeout=300, check=False)
        if done.returncode == 3:
            assert "UNIMPLEMENTED" in done.stderr, done.stderr
            continue
        assert done.returncode == 0, done.stderr
        onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)
        written += 1
    assert written >= 45
