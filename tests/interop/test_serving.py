"""The server as its users meet it: flags, files, REST, life cycle, batching, metrics, protection."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
from serving import Server, metric, wait_for, write_model


@pytest.fixture
def half_plus_two(tmp_path):
    return write_model(tmp_path / "half_plus_two", 123, 0.5, 2)


def config(path, **models):
    """A model_config_file; a model is its base path, or (path, further text)."""
    entries = ""
    for name, value in models.items():
        base, more = value if isinstance(value, tuple) else (value, "")
        entries += f'  config: {{ name: "{name}", base_path: "{base}", model_platform: "tensorflow" {more} }},\n'
    path.with_suffix(".new").write_text("model_config_list: {\n" + entries + "}\n")
    path.with_suffix(".new").rename(path)
    return path


@pytest.fixture(scope="module")
def shared_server(build, tmp_path_factory):
    base = write_model(tmp_path_factory.mktemp("models") / "m", 123, 0.5, 2)
    server = Server(build / "bin" / "tensorflow_model_server", "--model_name=m", f"--model_base_path={base}",
                    "--rest_api_enable_cors_support", "--max_body_bytes=100000", "--rest_api_compress_replies")
    yield server
    server.stop()


def test_flags(program, half_plus_two, tmp_path):
    def run(*flags):
        done = subprocess.run([program, *flags], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    code, out, _ = run("--version")
    assert code == 0 and out.startswith("TensorFlow ModelServer: ") and "TensorFlow Library: " in out
    code, out, _ = run()
    assert code == 255
    assert "Failed to start server. Error: " in out
    assert "Both server_options.model_base_path and server_options.model_config_file are empty!" in out
    code, out, _ = run("--no_such_flag=1")
    assert code == 255 and "unknown argument: --no_such_flag=1" in out and "usage: " in out
    for name, value in (("port", "8500"), ("model_name", '"default"'), ("load_retry_interval_micros", "60000000"),
                        ("enable_model_warmup", "true"), ("saved_model_tags", '"serve"')):
        assert f"--{name}={value}" in out
    code, out, err = run("--rest_api_port=http", f"--model_base_path={half_plus_two}")
    assert code == 255 and "Couldn't interpret value http for flag rest_api_port." in err
    bad = tmp_path / "bad.txt"
    bad.write_text("improperly formatted file")
    code, out, err = run(f"--model_config_file={bad}")
    assert code == 255 and "Error parsing text-format tensorflow.serving.ModelServerConfig" in err
    assert f"Invalid protobuf file: '{bad}'" in out
    code, out, _ = run(f"--model_base_path={half_plus_two}", f"--batching_parameters_file={bad}")
    assert code == 255 and "--batching_parameters_file without --enable_batching" in out


def test_an_unknown_flag_does_not_stop_the_start(serve, half_plus_two):
    server = serve("--model_name=m", f"--model_base_path={half_plus_two}", "--from_the_future=1")
    assert server.predict("m", [2]).json() == {"predictions": [3.0]}
    code, out = server.stop()
    assert code == 0 and "unknown argument: --from_the_future=1" in out


def test_model_config_reload_by_poll(serve, tmp_path):
    two = write_model(tmp_path / "two", 123, 0.5, 2)
    three = write_model(tmp_path / "three", 123, 0.5, 3)
    file = config(tmp_path / "models.config", two=two)
    server = serve(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
    assert server.predict("two", [2]).json() == {"predictions": [3.0]}
    assert server.predict("three", [2]).status_code == 404
    config(file, two=two, three=three)
    wait_for(lambda: server.predict("three", [2]).json() == {"predictions": [4.0]}, "the second model", server)
    file.write_text("improperly formatted file")
    time.sleep(1.5)
    assert server.predict("two", [2]).json() == {"predictions": [3.0]}  # the old one stays
    assert server.predict("three", [2]).json() == {"predictions": [4.0]}
    config(file, three=three)
    wait_for(lambda: server.predict("two", [2]).status_code == 404, "the first model to go", server)
    code, out = server.stop()
    assert code == 0
    assert "PollFilesystemAndReloadConfig failed to ReloadConfig()" in out


def test_without_poll_the_file_is_read_once(serve, tmp_path):
    two = write_model(tmp_path / "two", 123, 0.5, 2)
    file = config(tmp_path / "models.config", two=two)
    server = serve(f"--model_config_file={file}")
    config(file, other=two)
    time.sleep(1.5)
    assert server.predict("two", [2]).json() == {"predictions": [3.0]}
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.predict("other", [2]).status_code == 200, "the reload by SIGHUP", server)


def test_policies_and_labels(serve, tmp_path):
    for version in (1, 2, 3):
        base = write_model(tmp_path / "m", version, 0, version)
    file = config(tmp_path / "models.config",
                  all=(base, 'model_version_policy { all {} } version_labels { key: "stable" value: 1 } '
                             'version_labels { key: "canary" value: 3 }'),
                  two=(base, "model_version_policy { latest { num_versions: 2 } }"),
                  one=(base, "model_version_policy { specific { versions: 1 } }"))
    server = serve(f"--model_config_file={file}", "--allow_version_labels_for_unavailable_models",
                   "--model_config_file_poll_wait_seconds=1")
    answer = lambda path: server.post(f"/v1/models/{path}:predict", {"instances": [0]}).json()
    assert answer("all/labels/stable") == {"predictions": [1.0]}
    assert answer("all/labels/canary") == {"predictions": [3.0]}
    assert answer("all/versions/2") == {"predictions": [2.0]}
    assert answer("two") == {"predictions": [3.0]}
    assert answer("two/versions/2") == {"predictions": [2.0]}
    assert "error" in answer("two/versions/1")
    assert answer("one") == {"predictions": [1.0]}
    states = {v["version"]: v["state"] for v in server.get("/v1/models/all").json()["model_version_status"]}
    assert states == {"1": "AVAILABLE", "2": "AVAILABLE", "3": "AVAILABLE"}
    # A known label cannot be moved to a version that is not there: the whole reload is refused.
    config(file, all=(base, 'model_version_policy { all {} } version_labels { key: "stable" value: 9 }'))
    time.sleep(1.5)
    assert answer("all/labels/stable") == {"predictions": [1.0]}
    assert answer("one") == {"predictions": [1.0]}


def test_batching_joins_requests(serve, half_plus_two, tmp_path):
    parameters = tmp_path / "batching.txt"
    parameters.write_text("max_batch_size { value: 4 } batch_timeout_micros { value: 300000 } allowed_batch_sizes: 4\n"
                          "max_enqueued_batches { value: 100 } num_batch_threads { value: 1 }\n")
    server = serve("--model_name=m", f"--model_base_path={half_plus_two}", "--enable_batching",
                   f"--batching_parameters_file={parameters}")
    answers = {}

    def ask(i):
        answers[i] = server.predict("m", [i]).json()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == {i: {"predictions": [0.5 * i + 2]} for i in range(8)}
    page = server.get("/metrics").text
    assert metric(page, ":tensorflow:serving:batching_session:wrapped_run_count") <= 4
    assert metric(page, "tenon_batch_size_sum", model="m") == 8
    too_large = server.predict("m", [1] * 5)
    assert too_large.status_code == 400
    assert too_large.json()["error"] == "Task size 5 is larger than maximum input batch size 4"


def test_metrics(serve, half_plus_two, tmp_path):
    monitoring = tmp_path / "monitoring.txt"
    monitoring.write_text('prometheus_config: {\n  enable: true,\n  path: "/monitoring/prometheus/metrics"\n}')
    server = serve("--model_name=m", f"--model_base_path={half_plus_two}", f"--monitoring_config_file={monitoring}")
    for _ in range(3):
        assert server.predict("m", [1]).status_code == 200
    assert server.predict("m", ["x"]).status_code == 400
    reply = server.get("/monitoring/prometheus/metrics")
    assert reply.headers["Content-Type"] == "text/plain" and "# TYPE" in reply.text
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 3' in reply.text
    assert ':tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"} 1' in reply.text
    assert ':tensorflow:serving:request_latency_count{model_name="m",API="predict",entrypoint="REST"} 3' in reply.text
    assert ':tensorflow:serving:runtime_latency_count{model_name="m",API="predict",runtime="TF1"} 3' in reply.text
    for name in ("graph_build_calls", "graph_build_time_usecs", "graph_run_time_usecs", "graph_runs"):
        assert f"\n:tensorflow:core:{name}{{}} " in reply.text
    assert metric(reply.text, "tenon_inference_duration_seconds_count", model="m", version="123") == 3
    assert metric(reply.text, "process_resident_memory_bytes") > 1e6
    assert metric(reply.text, "tenon_model_state", model="m", version="123", state="AVAILABLE") == 1
    odd = server.get("/monitoring/prometheus/metrics?x")
    assert (odd.status_code, odd.text) == (400, "Unexpected path: /monitoring/prometheus/metrics?x. Should be "
                                                "/monitoring/prometheus/metrics")


def test_request_log_is_a_warm_up_file(serve, half_plus_two, tmp_path):
    from tensorflow_serving.apis import prediction_log_pb2

    prefix = tmp_path / "requests"
    file = config(tmp_path / "models.config", m=(half_plus_two, 'logging_config { log_collector_config { type: "file" '
                  f'filename_prefix: "{prefix}" }} sampling_config {{ sampling_rate: 1.0 }} }}'))
    server = serve(f"--model_config_file={file}")
    for value in (1, 2, 3):
        assert server.predict("m", [value, 10]).status_code == 200
    data = pathlib.Path(f"{prefix}.m.log").read_bytes()
    logs = []
    while data:
        size = int.from_bytes(data[:8], "little")
        logs.append(prediction_log_pb2.PredictionLog.FromString(data[12:12 + size]))
        data = data[16 + size:]
    assert len(logs) == 3
    predict = logs[1].predict_log
    assert predict.request.model_spec.name == "m" and predict.request.model_spec.version.value == 123
    assert predict.request.model_spec.signature_name == "serving_default"
    import numpy
    read = lambda t: numpy.frombuffer(t.tensor_content, numpy.float32).tolist() if t.tensor_content else list(t.float_val)
    assert read(predict.request.inputs["x"]) == [2.0, 10.0]
    assert read(predict.response.outputs["y"]) == [3.0, 7.0]
    # The next version is warmed up with it.
    base = write_model(tmp_path / "next", 1, 1, 1)
    extra = base / "1" / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(pathlib.Path(f"{prefix}.m.log").read_bytes())
    second = serve("--model_name=next", f"--model_base_path={base}", "--num_request_iterations_for_warmup=2")
    page = second.get("/metrics").text
    assert metric(page, ":tensorflow:serving:model_warmup_records_read") == 3
    assert metric(page, ":tensorflow:serving:model_warmup_latency_count", status="OK") == 1


def test_a_bad_warm_up_fails_the_load(serve, tmp_path):
    from tensorflow_serving.apis import prediction_log_pb2

    base = write_model(tmp_path / "m", 1, 1, 1)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "m"
    log.predict_log.request.inputs["no_such_input"].dtype = 1
    record = log.SerializeToString()
    extra = base / "1" / "assets.extra"
    extra.mkdir()
    size = len(record).to_bytes(8, "little")
    (extra / "tf_serving_warmup_requests").write_bytes(size + b"\0\0\0\0" + record + b"\0\0\0\0")
    server = serve("--model_name=m", f"--model_base_path={base}", "--max_num_load_retries=0")
    status = server.get("/v1/models/m").json()["model_version_status"][0]
    assert status["state"] == "END" and "tf_serving_warmup_requests" in status["status"]["error_message"]
    off = serve("--model_name=m", f"--model_base_path={base}", "--enable_model_warmup=false")
    assert off.predict("m", [1]).json() == {"predictions": [2.0]}


def test_tokens_rates_ids_and_the_access_log(serve, half_plus_two, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("first\nsecond\n")
    log = tmp_path / "access.log"
    server = serve("--model_name=m", f"--model_base_path={half_plus_two}", f"--bearer_token_file={tokens}",
                   f"--access_log={log}", "--requests_per_second=20")
    refused = server.predict("m", [1])
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
    assert server.predict("m", [1], headers={"Authorization": "Bearer third"}).status_code == 401
    good = server.predict("m", [1], headers={"Authorization": "Bearer second", "X-Request-Id": "abc-1"})
    assert good.status_code == 200 and good.headers["X-Request-Id"] == "abc-1"
    codes = [server.predict("m", [1], headers={"Authorization": "Bearer first"}).status_code for _ in range(60)]
    assert 429 in codes and 200 in codes
    assert server.get("/readyz").status_code == 200
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    mine = [line for line in lines if line.get("request_id") == "abc-1"]
    assert len(mine) == 1 and mine[0]["status"] == 200 and mine[0]["peer"] == "127.0.0.1"
    assert mine[0]["method"] == "POST" and mine[0]["path"] == "/v1/models/m:predict" and mine[0]["ms"] > 0


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
            "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "extensions", "-out", f"{name}.crt")


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_on_rest(serve, half_plus_two, tmp_path, mutual):
    make_certificates(tmp_path)
    text = lambda name: json.dumps((tmp_path / name).read_text())
    ssl_config = tmp_path / "ssl.txt"
    ssl_config.write_text(f"server_key: {text('server.key')} server_cert: {text('server.crt')} "
                          + (f"custom_ca: {text('ca.crt')} client_verify: true" if mutual else ""))
    server = serve("--model_name=m", f"--model_base_path={half_plus_two}", f"--rest_api_ssl_config_file={ssl_config}", ready=False)
    server.url = server.url.replace("http:", "https:")
    certificate = (str(tmp_path / "client.crt"), str(tmp_path / "client.key"))
    session = requests.Session()
    session.trust_env = False  # a bundle named in the environment would win over ours
    session.verify = str(tmp_path / "ca.crt")
    if mutual:
        session.cert = certificate
    wait_for(lambda: session.get(server.url + "/readyz", timeout=10).status_code == 200, "TLS", server)
    for size in (1, 1000, 300_000):
        reply = session.post(server.url + "/v1/models/m:predict", json={"inputs": [2.0] * size}, timeout=20)
        assert reply.json() == {"outputs": [3.0] * size}
    if mutual:
        with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
            requests.get(server.url + "/readyz", verify=str(tmp_path / "ca.crt"), timeout=10)
    with pytest.raises((requests.exceptions.ConnectionError, ssl.SSLError)):
        requests.get(server.url.replace("https:", "http:") + "/readyz", timeout=10)
    assert session.get(server.url + "/readyz", timeout=10).status_code == 200
    # Parts of a record, from clients that send no more, keep nobody waiting.
    port = int(server.url.rsplit(":", 1)[1])
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(b"\x16\x03\x01")
        time.sleep(0.2)
        for _ in range(8):
            assert session.get(server.url + "/readyz", timeout=10, headers={"Connection": "close"}).status_code == 200
    assert server.stop()[0] == 0


def test_pages(shared_server):
    html = shared_server.get("/")
    assert html.headers["Content-Type"].startswith("text/html") and "<form" in html.text
    status = shared_server.get("/status.json").json()
    assert status["models"][0]["name"] == "m"
    assert status["models"][0]["versions"] == [{"version": 123, "state": "AVAILABLE", "error": ""}]
    assert status["models"][0]["signatures"][0]["inputs"] == [{"name": "x", "dtype": "float", "shape": [-1]}]
    assert shared_server.post("/v1/models/m:predict", status["models"][0]["example"]).status_code == 200
    spec = shared_server.get("/openapi.json").json()
    assert spec["openapi"].startswith("3.") and "/v1/models/m:predict" in spec["paths"]


def test_sd_notify_and_drain(program, half_plus_two, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            server = Server(program, "--model_name=m", f"--model_base_path={half_plus_two}", "--shutdown_delay_seconds=1")
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert notify.recv(100) == b"READY=1"
        server.process.send_signal(signal.SIGTERM)
        assert notify.recv(100) == b"STOPPING=1"
        wait_for(lambda: server.get("/readyz").status_code == 503, "not ready")
        assert server.predict("m", [2]).json() == {"predictions": [3.0]}  # served until the delay is over
        assert server.process.wait(timeout=30) == 0  # a second signal would end it at once
        server.process.communicate()
