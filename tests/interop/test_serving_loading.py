"""What is loaded: models of each format, and the warm-up that each brings."""
import shutil
import subprocess

import pytest
from serving import metric
from serving_contract import DATA, HALF, config, message, needs_half, records, states, write_config


@needs_half
@pytest.mark.parametrize("case, code, text", [
    ("a thousand", "OK", ""),
    ("one more", "INVALID_ARGUMENT", "Number of warmup records exceeds the maximum (1000)"),
    ("classify, regress, both", "OK", ""),
    ("session run", "UNIMPLEMENTED", "Unsupported log_type for warmup: kSessionRunLog"),
    ("streamed", "UNIMPLEMENTED", "Unsupported log_type for warmup: kPredictStreamedLog"),
    ("second fails", "FAILED_PRECONDITION", 'record 1: Serving signature key "nope" not found.'),
    ("cut short", "DATA_LOSS", "truncated record"),
    ("wrong checksum", "DATA_LOSS", "wrong checksum of the data"),
])
def test_warm_up_files(serve, tmp_path, case, code, text):
    from tensorflow_serving.apis import prediction_log_pb2

    def predict(signature=""):
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.name, request.model_spec.signature_name = "another name", signature
        tensor = request.inputs["x"]
        tensor.dtype = 1
        tensor.tensor_shape.dim.add().size = 1
        tensor.float_val.append(1)
        return log

    def examples(kind):
        log = prediction_log_pb2.PredictionLog()
        request = getattr(log, f"{kind}_log").request
        if kind == "multi_inference":
            for method in ("regress", "classify"):
                task = request.tasks.add()
                task.model_spec.signature_name, task.method_name = f"{method}_x_to_y", f"tensorflow/serving/{method}"
        else:
            request.model_spec.signature_name = f"{kind}_x_to_y"
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(2)
        return log

    def other(kind):
        log = prediction_log_pb2.PredictionLog()
        getattr(log, kind).SetInParent()
        return log

    logs = {"a thousand": [predict()] * 1000, "one more": [predict()] * 1001, "session run": [other("session_run_log")],
            "classify, regress, both": [examples("classify"), examples("regress"), examples("multi_inference")],
            "streamed": [other("predict_streamed_log")], "second fails": [predict(), predict("nope")]}
    bytes_ = records(*logs.get(case, [predict()]))
    bytes_ = {"cut short": bytes_[:-3], "wrong checksum": bytes_[:-1] + bytes([bytes_[-1] ^ 1])}.get(case, bytes_)
    shutil.copytree(HALF, tmp_path / "m" / "1")
    extra = tmp_path / "m" / "1" / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "tf_serving_warmup_requests").write_bytes(bytes_)
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0")
    assert states(server) == {1: ("AVAILABLE" if code == "OK" else "END", code)}
    assert text in message(server)
    page = server.get("/metrics").text
    assert metric(page, ":tensorflow:serving:model_warmup_latency_count", status=code) == 1


@needs_half
def test_every_model_of_the_originals_tests(serve, tmp_path):
    """One server with all of them; those that are no SavedModel are refused and hold nothing up."""
    folders = {path.parent for path in (DATA / "data/savedmodel/tf_serving").rglob("*") if path.is_dir() and path.name.isdigit()}
    models = {path.name: path for path in folders}
    file = write_config(tmp_path / "c", *[config(name, path) for name, path in models.items()])
    server = serve(f"--model_config_file={file}", "--max_num_load_retries=0")
    none = {"bad_half_plus_two", "tf_text_regression", "half_plus_two"}  # a SessionBundle, one without its graph, a SessionBundle
    assert none < set(models) and len(models) >= 15
    for name in models:
        state, code = states(server, name)[max(states(server, name))]
        assert (state, code) == (("END", "NOT_FOUND") if name in none else ("AVAILABLE", "OK")), name
    half = [name for name in models if name.startswith("saved_model_half_plus_two")]
    assert len(half) >= 9
    for name in half:
        assert server.predict(name, [2.0, 3.0, 4.0]).json() == {"predictions": [3.0, 3.5, 4.0]}, name
        assert server.post(f"/v1/models/{name}:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}).json() == {"results": [[["", 3.0]]]}, name
        assert server.post(f"/v1/models/{name}:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}).json() == {"results": [3.0]}, name
    assert server.predict("saved_model_half_plus_three", [2.0]).json() == {"predictions": [4.0]}
    assert server.predict("matrix_half_plus_two", [[[1, 2], [3, 4]]]).json() == {"predictions": [[[2.5, 3.0], [3.5, 4.0]]]}
    counter = {"signature_name": "incr_counter_by", "inputs": {"delta": 5.0}}
    assert [server.post("/v1/models/saved_model_counter:predict", counter).json() for _ in range(2)] == [{"outputs": 5.0}, {"outputs": 10.0}]


def test_the_format_is_told_by_the_files(serve, build, model, tmp_path):
    """ONNX, our own and SavedModel, whatever the platform says; serving_default and the metadata are the same."""
    for name in ("native/1/any name.tenon", "saved/1"):
        (tmp_path / name).parent.mkdir(parents=True)
        subprocess.run([build / "bin" / "tenon", "convert", model / "1" / "model.onnx", tmp_path / name], check=True, capture_output=True)
    (tmp_path / "both" / "1").mkdir(parents=True)
    for name in "ab":
        shutil.copy(model / "1" / "model.onnx", tmp_path / "both" / "1" / f"{name}.onnx")
    file = write_config(tmp_path / "c", *[config(name, tmp_path / name) for name in ("m", "native", "saved", "both")])
    server = serve(f"--model_config_file={file}", "--max_num_load_retries=0")
    for name in ("m", "native", "saved"):
        assert server.predict(name, [2]).json() == {"predictions": [3.0]}
        signatures = server.get(f"/v1/models/{name}/metadata").json()["metadata"]["signature_def"]["signature_def"]
        assert list(signatures) == ["serving_default"]
        for alias, info in (*signatures["serving_default"]["inputs"].items(), *signatures["serving_default"]["outputs"].items()):
            assert alias in "xy" and info["dtype"] == "DT_FLOAT"
            assert info["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
        assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert "several models in it" in message(server, "both") and "a.onnx" in message(server, "both")
