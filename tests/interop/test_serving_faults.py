"""What goes wrong in production, and that the server goes on."""
import resource
import shutil
import signal
import socket
import threading
import time

import grpc
import h2
import pytest
import requests
from grpc_client import free_port, sanitized
from serving import Server, metric, wait_for, write_model
from tensorflow.python.framework import tensor_util
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def config(path, models):
    text = "".join(f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }}\n' for name, base in models.items())
    path.write_text("model_config_list {\n" + text + "}\n")
    return path


def test_bad_models_beside_ten_good_ones(serve, tmp_path):
    models = {f"good{i}": write_model(tmp_path / f"good{i}", 1, 1, i) for i in range(10)}
    (tmp_path / "truncated" / "1").mkdir(parents=True)
    source = tmp_path / "good0" / "1" / "model.onnx"
    (tmp_path / "truncated" / "1" / "model.onnx").write_bytes(source.read_bytes()[:60])
    (tmp_path / "nonsense" / "1").mkdir(parents=True)
    (tmp_path / "nonsense" / "1" / "saved_model.pb").write_bytes(b"\xff" * 1000)
    (tmp_path / "empty").mkdir()
    models |= {"truncated": tmp_path / "truncated", "nonsense": tmp_path / "nonsense", "empty": tmp_path / "empty",
               "missing": tmp_path / "missing"}
    server = serve(f"--model_config_file={config(tmp_path / 'c', models)}", "--max_num_load_retries=1", "--load_retry_interval_micros=1000")
    for i in range(10):
        assert server.predict(f"good{i}", [1]).json() == {"predictions": [1.0 + i]}
    for name in ("truncated", "nonsense"):
        wait_for(lambda n=name: server.get(f"/v1/models/{n}").json()["model_version_status"][0]["state"] == "END", name, server)
        assert server.get(f"/v1/models/{name}").json()["model_version_status"][0]["status"]["error_message"]
    for name in ("truncated", "nonsense", "empty", "missing"):
        assert server.predict(name, [1]).status_code == 404
    # A good version heals a bad model without a restart.
    write_model(tmp_path / "truncated", 2, 1, 100)
    wait_for(lambda: server.predict("truncated", [1]).status_code == 200, "the repaired model", server)


def test_strict_start(program, tmp_path):
    server = Server(program, "--model_name=m", f"--model_base_path={tmp_path / 'missing'}", "--strict_start", ready=False)
    out, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 255
    assert "1 servable(s) did not become available" in out


def test_version_folder_deleted_while_serving(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    server = serve("--model_name=m", f"--model_base_path={base}")
    stop, failed, answered = threading.Event(), [], [0]

    def client():
        session = requests.Session()
        while not stop.is_set():
            reply = session.post(server.url + "/v1/models/m:predict", json={"instances": [1]}, timeout=10)
            if reply.status_code != 200 or reply.json() not in ({"predictions": [2.0]}, {"predictions": [3.0]}):
                failed.append(reply.text)
            answered[0] += 1

    thread = threading.Thread(target=client)
    thread.start()
    time.sleep(0.3)
    write_model(base, 2, 1, 2)
    shutil.rmtree(base / "1")  # the files of what is served
    wait_for(lambda: server.predict("m", [1]).json() == {"predictions": [3.0]}, "version 2", server)
    shutil.move(base, tmp_path / "away")  # the whole base path: what is loaded stays
    time.sleep(2.5)
    stop.set()
    thread.join()
    assert not failed and answered[0] > 20
    assert server.predict("m", [1]).json() == {"predictions": [3.0]}


def test_half_written_version(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    server = serve("--model_name=m", f"--model_base_path={base}", "--load_retry_interval_micros=800000")  # five, 4 s
    whole = write_model(tmp_path / "other", 2, 1, 2) / "2" / "model.onnx"
    (base / "2").mkdir()
    time.sleep(1.5)  # an empty folder is seen as a version
    (base / "2" / "model.onnx").write_bytes(whole.read_bytes()[:80])
    time.sleep(0.5)
    assert server.predict("m", [1]).json() == {"predictions": [2.0]}
    (base / "2" / "model.onnx").write_bytes(whole.read_bytes())  # the copy is done: a retry finds it
    wait_for(lambda: server.predict("m", [1]).json() == {"predictions": [3.0]}, "the version once it is whole", server)


def test_disk_full(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    (tmp_path / "log.m.log").symlink_to("/dev/full")
    file = tmp_path / "c"
    file.write_text(f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" logging_config '
                    f'{{ log_collector_config {{ filename_prefix: "{tmp_path}/log" }} sampling_config {{ sampling_rate: 1 }} }} }} }}')
    server = serve(f"--model_config_file={file}", "--access_log=/dev/full")
    for _ in range(20):
        assert server.predict("m", [1]).json() == {"predictions": [2.0]}
    assert metric(server.get("/metrics").text, ":tensorflow:serving:request_log_count", status_code="UNAVAILABLE") == 20
    code, out = server.stop()
    assert code == 0 and out.count("requests cannot be recorded") == 1


def test_ten_thousand_idle_connections(serve, build, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 10_200:
        pytest.skip(f"this machine grants {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (10_200, hard))
    base = write_model(tmp_path / "m", 1, 1, 1)
    server = serve("--model_name=m", f"--model_base_path={base}")
    before = metric(server.get("/metrics").text, "process_resident_memory_bytes")
    connections = []
    try:
        for _ in range(10_000):
            connections.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
        begun = time.monotonic()
        for _ in range(20):
            assert server.predict("m", [1]).json() == {"predictions": [2.0]}
        assert time.monotonic() - begun < 5
        after = metric(server.get("/metrics").text, "process_resident_memory_bytes")
        assert after - before < 100e6 or sanitized(build), "10 KB a connection"
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for c in (connections[0], connections[5000], connections[-1]):  # they are alive
            c.sendall(request)
            assert c.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        for c in connections:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.stop()[0] == 0


def test_large_half_sent_requests_do_not_fill_the_memory(serve, build, tmp_path):
    """60 connections, half of them REST's and half gRPC's, send 8 MiB each of a larger request; 32 MiB may be under way."""
    base = write_model(tmp_path / "m", 1, 1, 1)
    port = free_port()
    server = serve("--model_name=m", f"--model_base_path={base}", f"--port={port}", "--max_inflight_bytes=33554432")
    for _ in range(20):
        server.predict("m", [1])
    before = metric(server.get("/metrics").text, "process_resident_memory_bytes")
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 16777216\r\n\r\n"
    piece = b" " * (1 << 20)
    slow, refused, most = [], 0, 0
    try:
        for i in range(60):
            if i % 2:
                call = h2.Client(port)
                slow.append(call)
                stream = call.begin()
                call.send(stream, h2.message(b" " * (16 << 20))[:8 << 20])
                continue
            s = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            slow.append(s)
            try:
                s.sendall(head)
                for _ in range(8):
                    s.sendall(piece)
            except OSError:
                refused += 1  # answered and closed before it had sent all
            assert server.predict("m", [1]).json() == {"predictions": [2.0]}  # others are served all the time
            most = max(most, metric(server.get("/metrics").text, "process_resident_memory_bytes"))
        page = server.get("/metrics").text
        assert metric(page, "tenon_inflight_bytes") <= 33554432
        assert metric(page, "tenon_refused_requests_total", reason="memory") >= 40
        assert most - before < 100e6 or sanitized(build), "of 480 MB"  # the address sanitizer keeps what is freed
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(head)
            for _ in range(12):  # what the others left free is less than that
                s.sendall(piece)
            reply = s.recv(4096)
            assert reply.startswith(b"HTTP/1.1 503") and b"Retry-After: 1" in reply and b"--max_inflight_bytes" in reply
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "m"
            request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto([1.0], dtype="float32"))
            assert stub.Predict(request, 10).outputs["y"].float_val[0] == 2
            request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto([1.0] * (1 << 21), dtype="float32"))
            with pytest.raises(grpc.RpcError) as error:
                stub.Predict(request, 10)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "--max_inflight_bytes" in error.value.details()
    finally:
        for s in slow:
            s.close()
    wait_for(lambda: metric(server.get("/metrics").text, "tenon_inflight_bytes") < 10000, "the memory to be given back", server)
    assert server.predict("m", [1] * 100000).status_code == 200


def test_slow_loris_and_half_closed_sockets(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    server = serve("--model_name=m", f"--model_base_path={base}")
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for s in slow:
        s.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\n")
    # Half closed with a whole request: it is answered. Half closed in the middle of one: the connection ends.
    body = b'{"instances": [1]}'
    request = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for piece, answered in ((request, True), (request[:-5], False), (b"", False)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(piece)
            s.shutdown(socket.SHUT_WR)
            data = b""
            while more := s.recv(4096):
                data += more
            assert data.startswith(b"HTTP/1.1 200") == answered
    until = time.monotonic() + 30
    closed = 0
    while closed < len(slow) and time.monotonic() < until:
        assert server.predict("m", [1]).status_code == 200  # others are served all the time
        for s in slow:
            try:
                s.send(b"X")  # a byte now and then keeps no connection alive
            except OSError:
                pass
        time.sleep(1)
        closed = 0
        for s in slow:
            s.setblocking(False)
            try:
                closed += s.recv(4096, socket.MSG_PEEK) is not None
            except BlockingIOError:
                pass
            except OSError:
                closed += 1
            s.setblocking(True)
    assert closed == len(slow)
    for s in slow:
        s.close()


def test_kill_and_restart_on_the_same_port(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    first = serve("--model_name=m", f"--model_base_path={base}")
    session = requests.Session()
    for round_ in range(3):
        assert session.post(first.url + "/v1/models/m:predict", json={"instances": [1]}, timeout=10).status_code == 200
        idle = [socket.create_connection(("127.0.0.1", first.port)) for _ in range(20)]
        first.process.send_signal(signal.SIGKILL)
        first.process.communicate()
        session = requests.Session()
        first = serve("--model_name=m", f"--model_base_path={base}", port=first.port)
        for s in idle:
            s.close()
        assert first.predict("m", [round_]).json() == {"predictions": [1.0 + round_]}


def test_sigterm_under_load_loses_nothing(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    server = serve("--model_name=m", f"--model_base_path={base}", "--shutdown_delay_seconds=1")
    lost, answered, closed, lock = [], [0], [0], threading.Lock()

    def client():
        # Keeps its connection as long as the server does, then makes a new one, until the port refuses it.
        session = requests.Session()
        while True:
            try:
                reply = session.post(server.url + "/v1/models/m:predict", json={"instances": [1]}, timeout=10)
            except requests.ConnectionError as error:
                if "Failed to establish a new connection" not in str(error):  # nothing was sent
                    lost.append(str(error))
                return
            with lock:
                answered[0] += 1
                closed[0] += reply.headers.get("Connection") == "close"
            if reply.json() != {"predictions": [2.0]}:
                lost.append(reply.text)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    before = answered[0]
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert server.get("/readyz").status_code == 503
    assert answered[0] > before  # served until the delay is over
    for t in threads:
        t.join()
    assert server.process.wait(timeout=30) == 0 and not lost
    assert closed[0] > 4  # clients are told before the port closes


def test_swaps_under_load(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 0, 1)
    server = serve("--model_name=m", f"--model_base_path={base}")
    stop, wrong, answered = threading.Event(), [], [0]

    def client():
        session = requests.Session()
        last = 0.0
        while not stop.is_set():
            reply = session.post(server.url + "/v1/models/m:predict", json={"instances": [0, 0, 0]}, timeout=10)
            values = reply.json().get("predictions") if reply.status_code == 200 else None
            if not values or len(set(values)) != 1 or values[0] < last:
                wrong.append(reply.text)
                return
            last = values[0]
            answered[0] += 1

    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    for version in range(2, 8):
        write_model(base, version, 0, version)
        wait_for(lambda v=version: server.predict("m", [0]).json() == {"predictions": [float(v)]}, f"version {version}", server)
        if version > 3:
            shutil.rmtree(base / str(version - 2))
    stop.set()
    for t in threads:
        t.join()
    assert not wrong and answered[0] > 100
