"""The command line and the config files, line by line: defaults, odd values, texts, and what is refused."""
import gzip
import os
import shutil
import signal
import socket
import subprocess

import pytest
from serving import free_port, wait_for, write_model
from serving_contract import DATA, HALF, config, message, needs_half, run, states, write_config

TWO_GRAPHS = DATA / "fixtures/savedmodel/tf1_two_meta_graphs"
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


# Flags that change nothing here, with a value that is not the default.
NO_EFFECT = {
    "flush_filesystem_caches": "false", "tensorflow_inter_op_parallelism": 2, "per_process_gpu_memory_fraction": "0.500000",
    "remove_unused_fields_from_bundle_metagraph": "false", "prefer_tflite_model": "true", "num_tflite_pools": 1000,
    "num_tflite_interpreters_per_pool": 2, "xla_cpu_compilation_enabled": "true", "xla_gpu_compilation_enabled": "true",
    "thread_pool_factory_config_file": "POOLS", "mixed_precision": "bfloat16", "skip_initialize_tpu": "true",
}
# The others, by starts that they can share. --version and --use_alts_credentials start nothing, --ssl_config_file needs keys.
EFFECT = [
    {"port": "PORT", "grpc_socket_path": "SOCKET", "rest_api_port": "PORT", "rest_api_num_threads": 3, "rest_api_timeout_in_ms": 9000,
     "rest_api_enable_cors_support": "true", "enable_batching": "true", "allow_version_labels_for_unavailable_models": "true",
     "batching_parameters_file": "BATCHING", "enable_per_model_batching_parameters": "true", "model_name": "m", "model_base_path": "MODEL",
     "num_load_threads": 2, "num_unload_threads": 2, "max_num_load_retries": 1, "load_retry_interval_micros": 1000,
     "file_system_poll_wait_seconds": 2, "tensorflow_intra_op_parallelism": 2, "saved_model_tags": "a,b", "grpc_channel_arguments": "grpc.so_reuseaddr=1",
     "grpc_max_threads": 3, "enable_model_warmup": "false", "num_request_iterations_for_warmup": 2, "monitoring_config_file": "MONITORING",
     "enable_signature_method_name_check": "true", "enable_profiler": "false", "enable_grpc_healthcheck_service": "true",
     "enable_serialization_as_tensor_content": "true"},
    {"model_config_file": "MODELS", "model_config_file_poll_wait_seconds": 1, "tensorflow_session_parallelism": 2},
    {"model_name": "m", "model_base_path": "MODEL", "tensorflow_session_config_file": "SESSION", "platform_config_file": "PLATFORM"},
]


def test_every_flag_acts_or_says_once_that_it_does_not(serve, program, model, tmp_path):
    _, out, _ = run(program, "--help")
    lines = {line.split("\t")[1].strip()[2:].split("=")[0]: line for line in out.splitlines() if line.startswith("\t--")}
    assert {name for name, line in lines.items() if "\tno effect: " in line} == set(NO_EFFECT)
    assert {"version", "use_alts_credentials", "ssl_config_file"}.union(NO_EFFECT, *EFFECT) == set(DEFAULTS)
    files = {"POOLS": "", "BATCHING": "max_batch_size { value: 4 }", "MONITORING": "prometheus_config { enable: true }", "SESSION": "",
             "MODELS": "model_config_list {" + config("m", model) + "}", "PLATFORM": ADAPTER % ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def flags(values):
        for name, value in values.items():
            words = {"PORT": free_port(), "SOCKET": tmp_path / "socket", "MODEL": model, **{file: tmp_path / file for file in files}}
            yield f"--{name}={words.get(value, value)}"

    for values in EFFECT:
        given = list(flags(values))
        ports = [int(flag.split("=")[1]) for flag in given if flag.startswith("--rest_api_port=")]
        server = serve(*given, port=ports[0] if ports else None)
        assert states(server) == {1: ("AVAILABLE", "OK")}
        code, log = server.stop()
        assert code == 0 and "no effect" not in log, log
    given = list(flags(NO_EFFECT))
    code, log = serve("--model_name=m", f"--model_base_path={model}", *given).stop()
    assert code == 0 and log.count("no effect") == len(NO_EFFECT)
    for flag in given:
        value = '"%s"' % flag.split("=")[1] if flag.split("=")[0] in ("--thread_pool_factory_config_file", "--mixed_precision") else flag.split("=")[1]
        why = lines[flag.split("=")[0][2:]].split("\tno effect: ")[1]
        assert log.count(f"{flag.split('=')[0]}={value} has no effect: {why}\n") == 1, flag
    code, out, _ = run(program, f"--model_base_path={model}", "--use_alts_credentials")
    assert code == 255 and "ALTS is not supported" in out


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


@pytest.mark.parametrize("text, error", [
    ("max_batch_size { value: 0 }", "max_batch_size must be positive"),
    ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be 0 or more"),
    ("max_enqueued_batches { value: 0 }", "max_enqueued_batches must be positive"),
    ("num_batch_threads { value: -1 }", "num_batch_threads must be 0 to 4096"),
    ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 6]", "final entry in allowed_batch_sizes must equal max_batch_size"),
    ("max_batch_size { value: 8 } allowed_batch_sizes: [8, 4]", "allowed_batch_sizes entries must be positive and monotonically increasing"),
    ("max_batch_size { value: 8 } max_execution_batch_size { value: 9 }", "max_execution_batch_size must be at most max_batch_size"),
    ("max_batch_size: 4", "Invalid protobuf file"),
])
def test_batching_parameters_that_are_refused(program, model, tmp_path, text, error):
    (tmp_path / "b").write_text(text)
    code, out, _ = run(program, f"--model_base_path={model}", "--enable_batching", f"--batching_parameters_file={tmp_path / 'b'}")
    assert code == 255 and error in out


@needs_half
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


def test_labels_at_the_start(serve, program, model, tmp_path):
    said = "Request to assign label to 9 of model m, which is not currently available for inference"
    file = write_config(tmp_path / "c", config("m", model, 'version_labels { key: "a" value: 9 }'))
    flags = ("--port=0", f"--rest_api_port={free_port()}", f"--model_config_file={file}", "--strict_start")
    code, out, _ = run(program, *flags)
    assert code == 255 and said in out
    server = serve(*flags[2:3])
    assert server.predict("m", [2]).status_code == 200 and said in server.stop()[1]


def test_one_port_for_both_leaves_rest_out(program, model):
    port = free_port()
    process = subprocess.Popen([str(program), f"--port={port}", f"--rest_api_port={port}", "--model_name=m", f"--model_base_path={model}"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with socket.socket() as probe:
        wait_for(lambda: probe.connect_ex(("127.0.0.1", port)) == 0, "the gRPC port")
    process.terminate()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "--rest_api_port cannot be same as --port. Please use a different port for HTTP/REST API. Skipped exporting HTTP/REST API." in out
    assert "Running gRPC ModelServer at 0.0.0.0:" in out and "Exporting HTTP/REST API" not in out


def test_a_socket_alone_also_where_another_server_left_one(program, model, tmp_path):
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    path = tmp_path / "s"
    for end in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen([str(program), "--port=0", f"--grpc_socket_path={path}", "--model_name=m", f"--model_base_path={model}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "m"
        with grpc.insecure_channel(f"unix:{path}") as channel:
            reply = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, 20, wait_for_ready=True)
            assert reply.model_version_status[0].state == 30
        process.send_signal(end)
        process.wait(timeout=30)


def test_rest_limits_and_the_line_that_scripts_look_for(serve, model):
    server = serve("--model_name=m", f"--model_base_path={model}", "--rest_api_timeout_in_ms=1")
    late = server.predict("m", [0.5] * 300_000)
    assert late.status_code == 504 and "time limit" in late.json()["error"]
    assert not any(name.startswith("Access-Control") for name in server.get("/v1/models/m").headers)  # without the flag
    for spaces, status in ((90 << 20, 200), (101 << 20, 400)):
        body = gzip.compress(b" " * spaces + b'{"instances": [2]}', 1)
        with_time = server if status == 400 else serve("--model_name=m", f"--model_base_path={model}")
        reply = with_time.post("/v1/models/m:predict", body, headers={"Content-Encoding": "gzip"})
        assert reply.status_code == status, reply.text
        assert reply.json() == ({"predictions": [3.0]} if status == 200 else {"error": "JSON Parse error: The document is empty"})
    assert f"Exporting HTTP/REST API at:localhost:{server.port} ..." in server.stop()[1]
