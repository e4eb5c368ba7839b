"""The life of versions, batches, logs and metrics, line by line."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests
from serving import free_port, metric, wait_for, write_model
from serving_contract import DATA, HALF, config, message, needs_half, records, states, write_config


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m", 1, 0.5, 2)


def test_retries_and_their_end(serve, tmp_path):
    bad = tmp_path / "m"
    (bad / "1").mkdir(parents=True)
    (bad / "1" / "model.onnx").write_text("junk")
    flags = ("--model_name=m", f"--model_base_path={bad}")
    begun = time.monotonic()
    server = serve(*flags, "--max_num_load_retries=2", "--load_retry_interval_micros=300000")
    assert states(server) == {1: ("LOADING", "OK")}  # a version that is tried again has not ended
    wait_for(lambda: states(server) == {1: ("END", "INVALID_ARGUMENT")}, "the last try")
    assert time.monotonic() - begun >= 0.6
    log = server.stop()[1]
    assert "load failed (1 of 3 attempts)" in log and "load failed (2 of 3 attempts)" in log and "load failed (3" not in log
    server = serve(*flags)
    assert states(server) == {1: ("LOADING", "OK")}
    shutil.rmtree(bad / "1")
    wait_for(lambda: states(server) == {1: ("END", "CANCELLED")}, "the load to be given up")
    write_model(bad, 1, 0.5, 2)
    wait_for(lambda: states(server) == {1: ("AVAILABLE", "OK")}, "the number to come back")


@pytest.mark.parametrize("flags", [(), ("--resource_preserving",)])
def test_order_of_a_swap(serve, model, flags):
    server = serve("--model_name=m", f"--model_base_path={model}", *flags)
    seen, stop = [], threading.Event()

    def watch():
        with requests.Session() as session:
            while not stop.is_set():
                reply = session.get(server.url + "/v1/models/m", timeout=10).json()["model_version_status"]
                now = {int(v["version"]): v["state"] for v in reply}
                if not seen or seen[-1] != now:
                    seen.append(now)

    watcher = threading.Thread(target=watch)
    watcher.start()
    write_model(model, 2, 0.5, 3)
    wait_for(lambda: states(server) == {1: ("END", "OK"), 2: ("AVAILABLE", "OK")}, "the swap", server)
    stop.set()
    watcher.join()
    for now in seen:
        if flags:  # the old one has ended before the new one is loaded
            assert now.get(2, "START") == "START" or now[1] == "END", seen
        else:  # at any time one of them serves
            assert "AVAILABLE" in now.values(), seen
    assert server.predict("m", [2]).json() == {"predictions": [4.0]}


def test_no_versions_and_no_base_path(serve, model):
    server = serve("--model_name=m", f"--model_base_path={model}")
    shutil.rmtree(model / "1")
    wait_for(lambda: states(server) == {1: ("END", "OK")}, "the unload")
    assert server.predict("m", [2]).json() == {"error": "Servable not found for request: Latest(m)"}
    write_model(model, 1, 0.5, 4)
    wait_for(lambda: server.predict("m", [2]).json() == {"predictions": [5.0]}, "the number to come back")
    shutil.rmtree(model)
    time.sleep(1.3)
    assert server.predict("m", [2]).json() == {"predictions": [5.0]}


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_start_that_waits(program, tmp_path, number):
    """In an orderly way: where the server is the first process of a container, a signal without a handler does nothing."""
    shutil.copytree(HALF, tmp_path / "m" / "1") if HALF.exists() else write_model(tmp_path / "m", 1, 0.5, 2)
    extra = tmp_path / "m" / "1" / "assets.extra"
    extra.mkdir(exist_ok=True)
    os.mkfifo(extra / "tf_serving_warmup_requests")  # reading it does not end
    process = subprocess.Popen([str(program), f"--port={free_port()}", "--model_name=m", f"--model_base_path={tmp_path / 'm'}"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=20) == 0, process.communicate()[0]
    process.stdout.close()


def test_a_load_that_does_not_end_holds_up_neither_requests_nor_the_end(serve, model, tmp_path):
    import grpc
    from google.protobuf import text_format
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    stuck, port = write_model(tmp_path / "stuck", 1, 0.5, 2), free_port()
    (stuck / "1" / "assets.extra").mkdir()
    os.mkfifo(stuck / "1" / "assets.extra" / "tf_serving_warmup_requests")
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}")
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse("model_config_list {" + config("m", model) + config("stuck", stuck) + "}", request.config)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as info:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, 0.5)
    assert info.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.predict("m", [2]).json() == {"predictions": [3.0]} and states(server, "stuck") == {1: ("LOADING", "OK")}
    begun = time.monotonic()
    code, out = server.stop()
    assert code == 0 and "stop: still in use: {name: stuck version: 1} (Loading)" in out and time.monotonic() - begun < 15


def test_labels(serve, model, tmp_path):
    """A label names an available version; a new one may wait for its version where the flag allows it."""
    import grpc
    from google.protobuf import text_format
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    write_model(model, 2, 0.5, 3)
    everything = "model_version_policy { all {} } "
    label = lambda name, version: f'version_labels {{ key: "{name}" value: {version} }} '
    for allowed in (False, True):
        port = free_port()
        flags = ["--allow_version_labels_for_unavailable_models"] if allowed else []
        server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", *flags)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)

            def reload(*entries, stub=stub):
                request = model_management_pb2.ReloadConfigRequest()
                text_format.Parse("model_config_list {" + "".join(entries) + "}", request.config)
                try:
                    return stub.HandleReloadConfigRequest(request, 30).status.error_code
                except grpc.RpcError as error:
                    return error.code().name, error.details()

            def ask(name, server=server):
                return server.post(f"/v1/models/m/labels/{name}:predict", {"instances": [2]}).json()

            refused = ("FAILED_PRECONDITION", "Request to assign label to 9 of model m, which is not currently available for inference")
            assert reload(config("m", model, everything)) == 0
            wait_for(lambda: all(s == ("AVAILABLE", "OK") for s in states(server).values()) and len(states(server)) == 2, "both versions")
            assert reload(config("m", model, everything + label("a", 1) + label("b", 2))) == 0
            assert (ask("a"), ask("b")) == ({"predictions": [3.0]}, {"predictions": [4.0]})
            assert reload(config("m", model, everything + label("a", 2) + label("b", 1))) == 0  # they change places
            assert (ask("a"), ask("b")) == ({"predictions": [4.0]}, {"predictions": [3.0]})
            assert reload(config("m", model, everything + label("a", 9))) == refused  # a known label never waits
            assert ask("a") == {"predictions": [4.0]}
            assert reload(config("m", model, everything + label("a", 2) + label("new", 9))) == (0 if allowed else refused)
            assert ask("new") == {"error": "Servable not found for request: Specific(m, 9)" if allowed else "Unrecognized servable version label: new"}
            # A new model: what is wrong with it is said, and whatever loads is served.
            assert reload(config("m", model), config("n", model, label("x", 9))) == (
                0 if allowed else ("FAILED_PRECONDITION", refused[1].replace("model m", "model n")))
            assert server.predict("n", [2]).json() == {"predictions": [4.0]}
            code, text = reload(config("m", model), config("gone", tmp_path / "nowhere"))
            assert code == "FAILED_PRECONDITION" and text.startswith("1 servable(s) did not become available: {{gone due to error: NOT_FOUND: "), text
            assert server.predict("m", [2]).json() == {"predictions": [4.0]}


def test_signals(serve, model):
    """SIGUSR1 writes the states to the log; a second SIGTERM does not wait for the drain."""
    server = serve("--model_name=m", f"--model_base_path={model}", "--shutdown_delay_seconds=60")
    server.process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)  # it is written by the thread that also looks for the other signals
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.get("/readyz").status_code == 503, "the drain to begin", server)
    assert [server.get(path).status_code for path in ("/healthz", "/livez", "/v2/health/live", "/v2/health/ready")] == [200, 200, 200, 503]
    assert server.predict("m", [2]).json() == {"predictions": [3.0]}
    code, out = server.stop()
    assert code == 128 + signal.SIGTERM and "state: model m version 1: AVAILABLE" in out


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


def write_graph(folder, nodes, inputs, outputs):
    import onnx
    from onnx import TensorProto, helper

    (folder / "1").mkdir(parents=True)
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in each] for each in (inputs, outputs)]
    graph = helper.make_graph([helper.make_node(*node, **more) for node, more in nodes], "g", *ports)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "1" / "model.onnx"))


def test_batching_rules(serve, tmp_path):
    write_graph(tmp_path / "rows", [(("Identity", ["x"], ["y"]), {})], [("x", ["b", "n"])], [("y", ["b", "n"])])
    write_graph(tmp_path / "two", [(("Identity", ["a"], ["c"]), {}), (("Identity", ["b"], ["d"]), {})], [("a", ["n"]), ("b", ["m"])],
                [("c", ["n"]), ("d", ["m"])])
    write_graph(tmp_path / "sum", [(("ReduceSum", ["x"], ["y"]), {"keepdims": 0})], [("x", ["b"])], [("y", [])])
    write_graph(tmp_path / "one", [(("ReduceSum", ["x"], ["y"]), {"keepdims": 1})], [("x", ["b"])], [("y", [1])])
    file = write_config(tmp_path / "c", *[config(name, tmp_path / name) for name in ("rows", "two", "sum", "one")])
    parameters = tmp_path / "b"

    def start(text, *flags):
        parameters.write_text(text)
        return serve(f"--model_config_file={file}", "--enable_batching", f"--batching_parameters_file={parameters}", *flags)

    def ask(server, *values, model="rows"):
        """The answers to requests that are sent one soon after the other, each waiting for its own."""
        answers, threads = [None] * len(values), []
        for i, value in enumerate(values):
            def one(i=i, value=value):
                reply = server.post(f"/v1/models/{model}:predict", {"inputs": value})
                answers[i] = (reply.status_code, *reply.json().values())
            threads.append(threading.Thread(target=one))
            threads[-1].start()
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        return answers

    value = lambda name, number: f"{name} {{ value: {number} }} "
    one_thread = value("num_batch_threads", 1)
    server = start(value("max_batch_size", 4) + value("batch_timeout_micros", 300000) + one_thread + "allowed_batch_sizes: [2, 4] pad_variable_length_inputs: true")
    assert ask(server, {"a": [1, 2], "b": [1, 2, 3]}, model="two") == [(400, "Batching session Run() input tensors must have equal 0th-dimension size")]
    assert ask(server, [1, 2], model="sum") == [(400, "Batched output tensor has 0 dimensions")]
    assert ask(server, [1, 2], model="one") == [(400, "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors")]
    assert ask(server, [[1]] * 5) == [(400, "Task size 5 is larger than maximum input batch size 4")]
    runs = lambda: metric(server.get("/metrics").text, ":tensorflow:serving:batching_session:wrapped_run_count")
    before = runs()
    assert ask(server, [[1, 2]], [[7, 8, 9], [4, 5, 6]]) == [(200, [[1, 2, 1]]), (200, [[7, 8, 9], [4, 5, 6]])]
    assert runs() == before + 1
    assert metric(server.get("/metrics").text, ":tensorflow:serving:batching_session:padding_size_sum", execution_batch_size="4") == 1
    late = start(value("max_batch_size", 4) + value("batch_timeout_micros", 700000) + one_thread + value("max_enqueued_batches", 1), "--rest_api_timeout_in_ms=200")
    assert ask(late, [[1]] * 3, [[1]] * 3) == [
        (429, "Run() timeout exceeded while waiting in batching queue"),
        (503, "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and max_enqueued_batches is 1")]
    split = start(value("max_batch_size", 10) + value("enable_large_batch_splitting", "true") + value("max_execution_batch_size", 4) + one_thread)
    assert ask(split, [[i] for i in range(10)]) == [(200, [[i] for i in range(10)])]
    assert metric(split.get("/metrics").text, ":tensorflow:serving:batching_session:wrapped_run_count") == 3
    assert ask(split, [[0]] * 11) == [(400, "Task size 11 is larger than maximum input batch size 10")]


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


def test_without_polls_a_reload_looks_again(serve, model, tmp_path):
    """Versions that came meanwhile are found, the policy of a served model may change, missing numbers are said once."""
    file = write_config(tmp_path / "c", config("m", model))
    server = serve(f"--model_config_file={file}", "--file_system_poll_wait_seconds=0")
    write_model(model, 2, 0.5, 3)
    time.sleep(1.2)
    assert states(server) == {1: ("AVAILABLE", "OK")}
    write_config(file, config("m", model, "model_version_policy { all {} }"))
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: states(server) == {1: ("AVAILABLE", "OK"), 2: ("AVAILABLE", "OK")}, "both versions", server)
    write_config(file, config("m", model, "model_version_policy { specific { versions: 77 versions: 1 } }"))
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: states(server) == {1: ("AVAILABLE", "OK"), 2: ("END", "OK")}, "one version", server)
    polled = serve(f"--model_config_file={file}")
    time.sleep(2.2)
    for each in (server, polled):
        assert each.stop()[1].count("versions of model m that are not there: 77") == 1


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


@pytest.mark.parametrize("transport", ["http2", "library"])
def test_grpc_calls_of_one_address_are_limited(serve, model, tmp_path, transport):
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    port, path = free_port(), tmp_path / "s.sock"
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", f"--grpc_socket_path={path}", "--requests_per_second=5",
                   "--enable_grpc_healthcheck_service=true", f"--grpc_transport={transport}")
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    codes = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, grpc.insecure_channel(f"unix:{path}") as local:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for _ in range(30):
            try:
                stub.GetModelStatus(request, 10)
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
                assert error.details() == "Request: too many calls from this address; try again in a second"
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), 10)
            model_service_pb2_grpc.ModelServiceStub(local).GetModelStatus(request, 10)
        assert codes[:5] == ["OK"] * 5 and codes.count("RESOURCE_EXHAUSTED") > 5
        time.sleep(1.2)
        stub.GetModelStatus(request, 10)
    assert 'tenon_refused_requests_total{reason="rate"}' in server.get("/metrics").text


def test_reloads_from_all_sides_lose_nothing(serve, tmp_path):
    """Four clients reload by RPC and one by the file: models come and go, base paths and policies change back and forth."""
    import random

    import grpc
    from google.protobuf import text_format
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    bases = [write_model(tmp_path / f"m{i}", 1, 0.5, 2 + i) for i in range(6)]
    for base in bases[:3]:
        write_model(base, 2, 0.5, 9)
    answers = [[0.5 * 2 + 2 + i] for i in range(6)] + [[10.0]]

    def entries(k):
        """The model "keep" and up to three others, each at another base path for each k."""
        return [config(name, bases[(i + k) % 6], "model_version_policy { all {} }" if (i + k) % 2 else "")
                for i, name in enumerate(("keep", "a", "b", "c")[:2 + k % 3])]

    file, port = write_config(tmp_path / "c", *entries(0)), free_port()
    server = serve(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1", "--enable_batching", f"--port={port}",
                   silent=True)
    stop, wrong, reloads, requests_ = threading.Event(), [], [], []

    def ask():
        with requests.Session() as session:
            while not stop.is_set():
                reply = session.post(server.url + "/v1/models/keep:predict", json={"instances": [2]}, timeout=20)
                requests_.append(1)
                if reply.status_code != 200 or reply.json()["predictions"] not in answers:
                    wrong.append(reply.text)

    def reload(seed):
        pick = random.Random(seed)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            while not stop.is_set():
                request = model_management_pb2.ReloadConfigRequest()
                text_format.Parse("model_config_list {" + "".join(entries(pick.randrange(6))) + "}", request.config)
                try:
                    stub.HandleReloadConfigRequest(request, 20)
                    reloads.append(1)
                except grpc.RpcError as error:
                    wrong.append((error.code().name, error.details()))

    threads = [threading.Thread(target=ask) for _ in range(2)] + [threading.Thread(target=reload, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for i in range(10):
        time.sleep(0.4)
        write_config(file, *entries(i % 6))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(reloads) > 20 and len(requests_) > 100, (wrong[:3], len(reloads), len(requests_))
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.predict("keep", [2]).json()["predictions"] == answers[3], "the last file")
    assert "AVAILABLE" in {state for state, _ in states(server, "keep").values()}
