"""The command line, the config files and the life cycle, line by line: defaults, odd values, texts, codes, order."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests
from serving import free_port, metric, wait_for, write_model

DATA = pathlib.Path(os.environ.get("TENON_TEST_DATA", pathlib.Path(__file__).resolve().parents[2] / "../shared"))
HALF = DATA / "data/savedmodel/tf_serving/servables/tensorflow/testdata/saved_model_half_plus_two_cpu/00000123"
TWO_GRAPHS = DATA / "fixtures/savedmodel/tf1_two_meta_graphs"
needs_half = pytest.mark.skipif(not HALF.exists(), reason="the models of TensorFlow Serving's tests are not here (TENON_TEST_DATA)")
DEFAULTS = {
    "port": 8500, "grpc_socket_path": '""', "rest_api_port": 0, "rest_api_num_threads": "4 * CPUS", "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": "false", "enable_batching": "false", "allow_version_labels_for_unavailable_models": "false",
    "batching_parameters_file": '""', "enable_per_model_batching_parameters": "false", "model_config_file": '""',
    "model_config_file_poll_wait_seconds": 0, "model_name": '"default"', "model_base_path": '""', "num_load_threads": 0,
    "num_unload_threads": 0, "max_num_load_retries": 5, "load_retry_interval_micros": 60000000, "file_system_poll_wait_seconds": 1,
    "flush_filesystem_caches": "true", "tensorflow_session_parallelism": 0, "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0, "tensorflow_session_config_file": '""', "ssl_config_file": '""', "use_alts_credentials": "false",
    "platform_config_file": '""', "per_process_gpu_memory_fraction": "0.000000", "saved_model_tags": '"serve"',
    "grpc_channel_arguments": '""', "grpc_max_threads": "4 * CPUS", "enable_model_warmup": "true", "num_request_iterations_for_warmup": 0,
    "monitoring_config_file": '""', "remove_unused_fields_from_bundle_metagraph": "true", "prefer_tflite_model": "false",
    "num_tflite_pools": "CPUS", "num_tflite_interpreters_per_pool": 1, "enable_signature_method_name_check": "false",
    "xla_cpu_compilation_enabled": "false", "xla_gpu_compilation_enabled": "false", "enable_profiler": "true",
    "thread_pool_factory_config_file": '""', "mixed_precision": '""', "skip_initialize_tpu": "false",
    "enable_grpc_healthcheck_service": "false", "enable_serialization_as_tensor_content": "false", "version": "false",
}


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m", 1, 0.5, 2)


def run(program, *flags):
    done = subprocess.run([str(program), *map(str, flags)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def states(server, model="m"):
    reply = server.get(f"/v1/models/{model}").json()
    return {int(v["version"]): (v["state"], v["status"]["error_code"]) for v in reply.get("model_version_status", [])}


def message(server, model="m"):
    return server.get(f"/v1/models/{model}").json()["model_version_status"][0]["status"]["error_message"]


def config(name, base, more="", platform='model_platform: "tensorflow"'):
    return f'config {{ name: "{name}" base_path: "{base}" {platform} {more} }}\n'


def write_config(path, *entries):
    path.with_suffix(".new").write_text("model_config_list {\n" + "".join(entries) + "}")
    path.with_suffix(".new").rename(path)
    return path


def records(*logs):
    """A TFRecord of these messages; its checksums are those that TensorFlow's writer makes."""
    import tempfile

    import tensorflow as tf
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            for log in logs:
                writer.write(log.SerializeToString())
        return pathlib.Path(file.name).read_bytes()


def test_every_flag_and_its_default(program):
    _, out, _ = run(program, "--help")
    got = dict(line.split("\t")[1].strip()[2:].split("=", 1) for line in out.splitlines() if line.startswith("\t--"))
    cpus = int(got["num_tflite_pools"])
    words = {"CPUS": cpus, "4 * CPUS": 4 * cpus}
    assert len(DEFAULTS) == 48 and 1 <= cpus <= len(os.sched_getaffinity(0))
    assert {name: got[name] for name in DEFAULTS} == {name: str(words.get(value, value)) for name, value in DEFAULTS.items()}
    code, out, _ = run(program, "--version")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 2) and lines[0].startswith("TensorFlow ModelServer: ") and lines[1].startswith("TensorFlow Library: ")


@pytest.mark.parametrize("flags, error", [
    (["--enable_batching=True"], "Couldn't interpret value True for flag enable_batching."),
    (["--enable_batching=1"], "Couldn't interpret value 1 for flag enable_batching."),
    (["--port=99999999999"], "Couldn't interpret value 99999999999 for flag port."),
    (["--port="], "Couldn't interpret value  for flag port."),
    (["--per_process_gpu_memory_fraction=x"], "Couldn't interpret value x for flag per_process_gpu_memory_fraction."),
    (["--rest_api_port=0"], "server_options.grpc_port is not set."),
    (["--tensorflow_session_parallelism=2", "--tensorflow_inter_op_parallelism=1"], "--tensorflow_session_parallelism excludes"),
    (["--tensorflow_session_config_file=FILE", "--tensorflow_session_parallelism=2"], "--tensorflow_session_config_file excludes"),
    (["--mixed_precision=float16"], 'only "bfloat16" is known'),
    (["--grpc_channel_arguments=abc"], 'got "abc", expected k=v,k=v'),
    (["--batching_parameters_file=FILE"], "You supplied --batching_parameters_file without --enable_batching"),
    (["--model_name="], "to have a name and a base_path"),
    *[([f"--{name}=/nowhere"], "NOT_FOUND: /nowhere: cannot open") for name in (
        "model_config_file", "monitoring_config_file", "ssl_config_file", "platform_config_file", "tensorflow_session_config_file",
        "thread_pool_factory_config_file", "enable_batching --batching_parameters_file")],
    *[([f"--{name}=FILE"], "Invalid protobuf file: 'FILE'") for name in (
        "model_config_file", "monitoring_config_file", "ssl_config_file", "platform_config_file", "tensorflow_session_config_file",
        "thread_pool_factory_config_file", "enable_batching --batching_parameters_file")],
])
def test_refused(program, model, tmp_path, flags, error):
    file = tmp_path / "file"
    file.write_text("no_such_field: 3")
    flags = [part.replace("FILE", str(file)) for flag in flags for part in flag.split(" ")]
    flags = [flag if flag.startswith("--") else "--" + flag for flag in flags]
    ports = [] if "--rest_api_port=0" in flags else [f"--rest_api_port={free_port()}"]
    code, out, err = run(program, "--port=0", *ports, f"--model_base_path={model}", *flags)
    assert code == 255
    assert out.splitlines()[-1].startswith("Failed to start server. Error: ") and error.replace("FILE", str(file)) in out.splitlines()[-1], out
    if "Invalid protobuf" in error:
        assert 'Error parsing text-format tensorflow.' in err and 'has no field named "no_such_field"' in err


def test_odd_values_are_taken(serve, model):
    """Values that the original takes: as large as they go, and below zero; of a flag given twice the last one counts."""
    server = serve("--model_name=x", "--model_name=m", f"--model_base_path={model}", "--file_system_poll_wait_seconds=2147483647",
                   "--model_config_file_poll_wait_seconds=2147483647", "--max_num_load_retries=-1", "--load_retry_interval_micros=9000000000000000000",
                   "--rest_api_timeout_in_ms=0", "--num_load_threads=-1", "--num_request_iterations_for_warmup=-1", "--rest_api_num_threads=1",
                   "--tensorflow_session_parallelism=9999999999", "--mixed_precision=bfloat16", "--grpc_channel_arguments=a=1,,b=c",
                   "--enable_profiler", "--enable_model_warmup=true")
    assert server.predict("m", [2]).json() == {"predictions": [3.0]}
    assert server.stop()[0] == 0


def test_values_apart_from_their_flag_are_unknown(serve, model):
    """`--flag value` is read for no flag: the flag is unknown and keeps its default."""
    server = serve(f"--model_base_path={model}", "--model_name", "m")
    assert server.predict("default", [2]).json() == {"predictions": [3.0]}
    assert "unknown argument: --model_name\nusage: " in server.stop()[1]


@pytest.mark.parametrize("entries, error", [
    ([("m", "BASE", "", "")], "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."),
    ([("m", "BASE", "model_type: TENSORFLOW")], "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."),
    ([("m", "BASE", "", "model_type: OTHER")], "ModelServerConfig::model_type OTHER is not supported."),
    ([("m", "BASE", "", "model_type: CAFFE")], 'Unknown enumeration value of "CAFFE" for field "model_type".'),
    ([("m", "BASE", "", 'model_platform: "caffe"')], "Model m has an unknown model_platform: caffe"),
    ([("m", "BASE"), ("m", "BASE")], "Illegal to list model m multiple times in config list"),
    ([("m", "models/m")], "Expected model m to have an absolute path or URI; got base_path()=models/m"),
    ([("n", "BASE"), ("m", "models/m")], "Expected model m to have an absolute path or URI; got base_path()=models/m"),
    ([("", "BASE")], "to have a name and a base_path"),
    ([("m", "BASE", "logging_config { sampling_config { sampling_rate: 1.5 } }")], "sampling_rate: got 1.5, expected 0 to 1"),
    ([("m", "BASE", 'name: "n"')], 'Non-repeated field "name" is specified multiple times.'),
    ([("m", "BASE", "model_version_policy { latest {} all {} }")], 'Field "all" is specified along with field "latest", another member of oneof "policy_choice".'),
])
def test_model_configs_that_are_refused(program, model, tmp_path, entries, error):
    file = write_config(tmp_path / "c", *[config(*(part.replace("BASE", str(model)) for part in entry)) for entry in entries])
    code, out, err = run(program, "--port=0", f"--rest_api_port={free_port()}", f"--model_config_file={file}")
    assert code == 255 and error in out + err, out + err


def test_uris(serve, model, tmp_path):
    file = write_config(tmp_path / "c", config("m", f"file://{model}"), config("far", "s3://bucket/far"))
    server = serve(f"--model_config_file={file}")
    assert server.predict("m", [2]).json() == {"predictions": [3.0]}
    assert "File system scheme 's3' not implemented (file: 's3://bucket/far')" in server.stop()[1]


@pytest.mark.skipif(not TWO_GRAPHS.exists(), reason="the SavedModel fixtures are not here (TENON_TEST_DATA)")
def test_saved_model_tags(serve, tmp_path):
    shutil.copytree(TWO_GRAPHS, tmp_path / "m" / "1")
    answers = {}
    for tags in ("serve", "gpu,serve", "serve,gpu", "train"):
        server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}", f"--saved_model_tags={tags}", "--max_num_load_retries=0")
        if tags == "train":
            assert states(server) == {1: ("END", "NOT_FOUND")} and "no meta graph with the tags [train]" in message(server)
            continue
        signature = server.get("/v1/models/m/metadata").json()["metadata"]["signature_def"]["signature_def"]["serving_default"]
        (info,) = signature["inputs"].values()
        value = 1.0
        for dim in reversed(info["tensor_shape"]["dim"]):
            value = [value] * max(1, int(dim["size"]))
        reply = server.post("/v1/models/m:predict", {"inputs": value}).json()["outputs"]
        answers[tags] = reply[0][0] if isinstance(reply[0], list) else reply[0]
    assert answers["gpu,serve"] == answers["serve,gpu"] == pytest.approx(10 * answers["serve"], rel=1e-5)


ADAPTER = """platform_configs { key: "tensorflow" value { source_adapter_config {
  [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { legacy_config { %s } } } } }"""


def test_a_platform_config_takes_the_place_of_the_flags(serve, program, model, tmp_path):
    extra = model / "1" / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_text("no record")  # would fail the load, but warm-up is off unless asked for
    file = tmp_path / "platform"
    file.write_text(ADAPTER % 'batching_parameters { max_batch_size { value: 2 } } saved_model_tags: "serve" session_config { intra_op_parallelism_threads: 2 }')
    server = serve("--model_name=m", f"--model_base_path={model}", f"--platform_config_file={file}", "--max_num_load_retries=0")
    assert server.predict("m", [1] * 3).json() == {"error": "Task size 3 is larger than maximum input batch size 2"}
    file.write_text(ADAPTER % "enable_model_warmup: true")
    server = serve("--model_name=m", f"--model_base_path={model}", f"--platform_config_file={file}", "--max_num_load_retries=0")
    assert states(server) == {1: ("END", "DATA_LOSS")}
    file.write_text((ADAPTER % "").replace('"tensorflow"', '"caffe"'))
    code, out, _ = run(program, f"--model_base_path={model}", f"--platform_config_file={file}")
    assert code == 255 and 'got the platform "caffe", only "tensorflow" is known' in out


@needs_half
def test_signature_method_name_check(serve, tmp_path):
    shutil.copytree(HALF, tmp_path / "m" / "1")
    file = tmp_path / "m" / "1" / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"tensorflow/serving/predict", b"tensorflow/serving/predicX"))
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    assert serve(*flags).predict("m", [2]).json() == {"predictions": [3.0]}
    checked = serve(*flags, "--enable_signature_method_name_check")
    error = {"error": "Expected prediction signature method_name to be one of {tensorflow/serving/predict, tensorflow/serving/classify, "
                      "tensorflow/serving/regress}. Was: tensorflow/serving/predicX"}
    assert checked.predict("m", [2]).json() == error
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}
    assert checked.post("/v1/models/m:regress", body).json() == {"results": [3.0]}
    batched = serve(*flags, "--enable_signature_method_name_check", "--enable_batching")
    assert batched.predict("m", [2]).json() == error


def test_per_model_batching(serve, model, tmp_path):
    other = write_model(tmp_path / "other", 1, 0.5, 3)
    (other / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    file = write_config(tmp_path / "c", config("m", model), config("other", other))
    server = serve(f"--model_config_file={file}", "--enable_batching", "--enable_per_model_batching_parameters")
    assert server.predict("m", [2] * 3).json() == {"predictions": [3.0] * 3}
    assert server.predict("other", [2] * 3).json() == {"error": "Task size 3 is larger than maximum input batch size 2"}
    without = serve(f"--model_config_file={file}", "--enable_per_model_batching_parameters")  # says nothing without --enable_batching
    assert without.predict("other", [2] * 3).json() == {"predictions": [4.0] * 3}


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


def test_labels_at_the_start(serve, program, model, tmp_path):
    said = "Request to assign label to 9 of model m, which is not currently available for inference"
    file = write_config(tmp_path / "c", config("m", model, 'version_labels { key: "a" value: 9 }'))
    flags = ("--port=0", f"--rest_api_port={free_port()}", f"--model_config_file={file}", "--strict_start")
    code, out, _ = run(program, *flags)
    assert code == 255 and said in out
    server = serve(*flags[2:3])
    assert server.predict("m", [2]).status_code == 200 and said in server.stop()[1]


@needs_half
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
