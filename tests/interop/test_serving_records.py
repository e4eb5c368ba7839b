"""What the server writes down: request logs, the access log, and the names of its metrics."""
import contextlib
import json
import shutil

import pytest
from serving import free_port, metric, wait_for
from serving_contract import HALF, config, needs_half, states, write_config


@needs_half
def test_each_kind_of_call_is_logged_as_what_it_is(serve, tmp_path):
    import grpc
    from tensorflow_serving.apis import inference_pb2, prediction_log_pb2, prediction_service_pb2_grpc

    logging = f'logging_config {{ log_collector_config {{ type: "file" filename_prefix: "{tmp_path}/log" }} sampling_config {{ sampling_rate: 1 }} }}'
    file = write_config(tmp_path / "c", config("m", HALF.parent, logging), config("quiet", HALF.parent))
    port = free_port()
    server = serve(f"--model_config_file={file}", f"--port={port}")
    assert server.predict("m", [2]).status_code == server.predict("quiet", [2]).status_code == 200
    assert server.predict("m", ["x"]).status_code == 400  # no run, no record
    for method in ("classify", "regress"):
        assert server.post(f"/v1/models/m:{method}", {"signature_name": f"{method}_x_to_y", "examples": [{"x": 2.0}, {"x": 4.0}]}).status_code == 200
    multi = inference_pb2.MultiInferenceRequest()
    for method in ("regress", "classify"):
        task = multi.tasks.add()
        task.model_spec.name, task.model_spec.signature_name, task.method_name = "m", f"{method}_x_to_y", f"tensorflow/serving/{method}"
    multi.input.example_list.examples.add().features.feature["x"].float_list.value.append(2)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).MultiInference(multi, 10)
    assert [path.name for path in tmp_path.glob("log*")] == ["log.m.log"]
    data, logs = (tmp_path / "log.m.log").read_bytes(), []
    while data:
        size = int.from_bytes(data[:8], "little")
        logs.append(prediction_log_pb2.PredictionLog.FromString(data[12:12 + size]))
        data = data[16 + size:]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log", "classify_log", "regress_log", "regress_log", "classify_log"]
    values = lambda log: [e.features.feature["x"].float_list.value[0] for e in log.request.input.example_list.examples]
    classify, regress = logs[1].classify_log, logs[2].regress_log
    assert values(classify) == values(regress) == [2.0, 4.0]
    assert [c.classes[0].score for c in classify.response.result.classifications] == [3.0, 4.0]
    assert [r.value for r in regress.response.result.regressions] == [3.0, 4.0]
    assert classify.request.model_spec.signature_name == "classify_x_to_y" and regress.response.model_spec.version.value == 123
    assert logs[0].log_metadata.sampling_config.sampling_rate == 1 and logs[0].log_metadata.model_spec.name == "m"
    assert metric(server.get("/metrics").text, ":tensorflow:serving:request_log_count", model_name="m", status_code="OK") == 5
    shutil.copytree(HALF, tmp_path / "next" / "1")
    extra = tmp_path / "next" / "1" / "assets.extra"
    extra.mkdir(exist_ok=True)
    shutil.copy(tmp_path / "log.m.log", extra / "tf_serving_warmup_requests")
    after = serve("--model_name=m", f"--model_base_path={tmp_path / 'next'}")
    assert states(after) == {1: ("AVAILABLE", "OK")}
    assert metric(after.get("/metrics").text, ":tensorflow:serving:model_warmup_records_read") == 5


@pytest.mark.parametrize("flags", [(), ("--grpc_transport=library",), ("--enable_batching",)])
def test_the_access_log_has_both_protocols(serve, model, tmp_path, flags):
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    port, log = free_port(), tmp_path / "log"
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", f"--access_log={log}", *flags)
    assert server.predict("m", [2]).status_code == 200
    request = predict_pb2.PredictRequest()
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 1
    request.inputs["x"].float_val.append(2)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for name in ("m", "none"):
            request.model_spec.name = name
            with contextlib.nullcontext() if name == "m" else pytest.raises(grpc.RpcError):
                assert list(stub.Predict(request, 10).outputs["y"].float_val) == [3.0]
    assert server.stop()[0] == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["method"], line["path"], line["status"]) for line in lines if "status" in line][-1] == ("POST", "/v1/models/m:predict", 200)
    calls = [line for line in lines if line.get("protocol") == "grpc"]
    assert [(call["path"], call["code"]) for call in calls] == [("/tensorflow.serving.PredictionService/Predict", code) for code in ("OK", "NOT_FOUND")]
    assert calls[0]["bytes_in"] > 10 and calls[0]["bytes_out"] > 10 and calls[0]["ms"] > 0 and calls[1]["bytes_out"] == 0
    assert all(call["ts"].endswith("Z") and call["peer"] == "127.0.0.1" for call in calls)


def test_metric_names(serve, tmp_path):
    shutil.copytree(HALF, tmp_path / "m" / "1")
    with contextlib.suppress(FileExistsError):
        (tmp_path / "m" / "1" / "assets.extra").mkdir()
    (tmp_path / "m" / "1" / "assets.extra" / "mlmd_uuid").write_text("f3e6-11")
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--enable_batching")
    assert server.predict("m", [1]).status_code == 200
    page = server.get("/metrics").text
    histograms = ("serving:request_latency", "serving:runtime_latency", "serving:request_example_counts", "serving:model_warmup_latency",
                  "serving:batching_session:queuing_latency", "serving:batching_session:padding_size", "serving:batching_session:input_batch_size",
                  "serving:batching_session:processed_batch_size", "serving:saved_model_with_batching:queuing_latency")
    counters = ("serving:request_count", "serving:request_example_count_total", "serving:request_log_count", "serving:model_warmup_records_read",
                "serving:batching_session:wrapped_run_count", "core:graph_runs", "core:graph_run_time_usecs", "core:graph_build_calls",
                "core:graph_build_time_usecs", "core:direct_session_runs", "cc:saved_model:load_attempt_count", "cc:saved_model:load_latency")
    for kind, names in (("histogram", histograms), ("counter", counters), ("gauge", ("serving:mlmd_map",))):
        for name in names:
            assert f"# TYPE :tensorflow:{name} {kind}\n" in page, name
    assert "# HELP" not in page
    assert ':tensorflow:serving:mlmd_map{model_name="m",version="1"} 1\n' in page
    bounds = [line.split('le="')[1].split('"')[0] for line in page.splitlines() if line.startswith(":tensorflow:serving:request_latency_bucket")]
    assert len(bounds) == 34 and bounds[0] == "10" and bounds[-1] == "+Inf" and float(bounds[1]) == 18
    shutil.rmtree(tmp_path / "m" / "1")
    wait_for(lambda: metric(server.get("/metrics").text, ":tensorflow:serving:mlmd_map", model_name="m") == 0, "the version to go")
