"""What goes wrong in production, for clients of gRPC: the same list as test_serving_faults.py, on both transports where they differ."""
import contextlib
import os
import resource
import shutil
import signal
import socket
import threading
import time

import grpc
import h2
import pytest
from grpc_client import TF1, ModelServer, failure, free_port, sanitized
from serving import metric, wait_for, write_model
from tensorflow.python.framework import tensor_util
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, predict_pb2

TRANSPORTS = pytest.mark.parametrize("transport", ["http2", "library"])
END, AVAILABLE = 50, 30


def request(model="m", values=(1.0,)):
    out = predict_pb2.PredictRequest()
    out.model_spec.name = model
    out.inputs["x"].CopyFrom(tensor_util.make_tensor_proto(list(values), dtype="float32"))
    return out


def predict(server, model="m", value=1.0):
    return server.predict.Predict(request(model, [value]), 20).outputs["y"].float_val[0]


def states(server, model):
    ask = get_model_status_pb2.GetModelStatusRequest()
    ask.model_spec.name = model
    return {v.version: (v.state, v.status.error_message) for v in server.models.GetModelStatus(ask, 10).model_version_status}


def wait(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except grpc.RpcError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Load:
    """Clients that ask as fast as they can, each until its first failure or the end; `answers` is the values seen."""

    def __init__(self, server, clients=4):
        self.server, self.stopping, self.failed, self.answers, self.lock = server, threading.Event(), [], [], threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                value = predict(self.server)
            except grpc.RpcError as error:
                self.failed.append((error.code(), error.details()))
                return
            with self.lock:
                self.answers.append(value)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def test_bad_models_beside_ten_good_ones(build, tmp_path):
    models = {f"good{i}": write_model(tmp_path / f"good{i}", 1, 1, i) for i in range(10)}
    for name, file, data in (("truncated", "model.onnx", (models["good0"] / "1" / "model.onnx").read_bytes()[:60]), ("nonsense", "saved_model.pb", b"\xff" * 1000)):
        models[name] = tmp_path / name
        (models[name] / "1").mkdir(parents=True)
        (models[name] / "1" / file).write_bytes(data)
    models["missing"] = tmp_path / "missing"
    file = tmp_path / "models.txt"
    file.write_text("model_config_list {" + "".join(f'config {{ name: "{n}" base_path: "{b}" model_platform: "tensorflow" }}' for n, b in models.items()) + "}")
    with ModelServer(build, f"--model_config_file={file}", "--max_num_load_retries=1", "--load_retry_interval_micros=1000") as server:
        for i in range(10):
            wait(lambda i=i: predict(server, f"good{i}") == 1.0 + i, f"good{i}")
        for name in ("truncated", "nonsense"):
            wait(lambda n=name: states(server, n)[1][0] == END and states(server, n)[1][1], f"the error of {name}")
        for name in ("truncated", "nonsense", "missing"):
            assert failure(server.predict.Predict, request(name))[0] == "NOT_FOUND"
        write_model(models["truncated"], 2, 1, 100)
        wait(lambda: predict(server, "truncated") == 101, "the repaired model")


def test_version_folder_deleted_while_serving(build, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    with ModelServer(build, "--model_name=m", f"--model_base_path={base}") as server:
        wait(lambda: predict(server) == 2, "version 1")
        load = Load(server, 2)
        time.sleep(0.3)
        write_model(base, 2, 1, 2)
        shutil.rmtree(base / "1")
        wait(lambda: predict(server) == 3, "version 2")
        shutil.move(base, tmp_path / "away")
        time.sleep(2.5)
        load.stop()
        assert not load.failed and set(load.answers) == {2.0, 3.0}
        assert predict(server) == 3


def test_half_written_saved_model(build, tmp_path):
    """A copy of a SavedModel that is looked at in the middle: no graph yet, half of it, no variables, half of them."""
    source = next(p for p in TF1.iterdir() if p.is_dir())
    base = tmp_path / "m"
    shutil.copytree(source, base / "1")
    flags = ("--model_name=m", f"--model_base_path={base}", "--file_system_poll_wait_seconds=1", "--max_num_load_retries=40", "--load_retry_interval_micros=300000")
    with ModelServer(build, *flags) as server:
        wait(lambda: predict(server) == 2.5, "version 1")
        load = Load(server, 2)
        two = base / "2"
        two.mkdir()
        graph = (source / "saved_model.pb").read_bytes()
        weights = sorted((source / "variables").iterdir(), key=lambda p: p.name)
        time.sleep(1.3)
        for size in (0, 10, len(graph) // 2):
            (two / "saved_model.pb").write_bytes(graph[:size])
            time.sleep(0.4)
        assert states(server, "m")[2][0] != AVAILABLE
        (two / "saved_model.pb").write_bytes(graph)  # whole, and its variables are not there
        time.sleep(0.5)
        (two / "variables").mkdir()
        for file in weights:
            (two / "variables" / file.name).write_bytes(file.read_bytes()[:-3])
        time.sleep(0.5)
        assert states(server, "m")[2][0] != AVAILABLE and states(server, "m")[1][0] == AVAILABLE
        for file in weights:
            (two / "variables" / file.name).write_bytes(file.read_bytes())
        wait(lambda: states(server, "m")[2][0] == AVAILABLE, "the version once it is whole")
        load.stop()
        assert not load.failed and set(load.answers) == {2.5}


def test_disk_full(build, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    (tmp_path / "log.m.log").symlink_to("/dev/full")
    file = tmp_path / "models.txt"
    file.write_text(f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" logging_config '
                    f'{{ log_collector_config {{ filename_prefix: "{tmp_path}/log" }} sampling_config {{ sampling_rate: 1 }} }} }} }}')
    with ModelServer(build, f"--model_config_file={file}") as server:
        wait(lambda: predict(server) == 2, "the model")
        for _ in range(20):
            assert predict(server) == 2
        server.process.terminate()
        assert server.process.wait(30) == 0
        assert server.text().count("requests cannot be recorded") == 1


def test_ten_thousand_idle_connections(build, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 10_200:
        pytest.skip(f"this machine grants {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (10_200, hard))
    base = write_model(tmp_path / "m", 1, 1, 1)
    connections = []
    try:
        with ModelServer(build, "--model_name=m", f"--model_base_path={base}") as server:
            wait(lambda: predict(server) == 2, "the model")
            before = resident_bytes(server)
            for _ in range(10_000):
                connections.append(h2.Client(server.port))
            begun = time.monotonic()
            for _ in range(20):
                assert predict(server) == 2
            assert time.monotonic() - begun < 5
            if not sanitized(build):
                assert resident_bytes(server) - before < 200e6, "20 KB a connection"
            payload = h2.message(request().SerializeToString())
            for c in (connections[0], connections[5000], connections[-1]):  # they are alive
                stream = c.begin()
                c.send(stream, payload, end=True)
                assert c.answer(stream)
    finally:
        for c in connections:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@TRANSPORTS
def test_large_half_sent_messages_do_not_fill_the_memory(build, tmp_path, transport):
    """40 connections want to send 8 of 16 MiB; 32 MiB may be under way. Ours refuses what is more, the library reads no more."""
    base = write_model(tmp_path / "m", 1, 1, 1)
    flags = ("--model_name=m", f"--model_base_path={base}", f"--grpc_transport={transport}", "--max_inflight_bytes=33554432")
    with ModelServer(build, *flags) as server, contextlib.ExitStack() as stack:
        wait(lambda: predict(server) == 2, "the model")
        before, most = resident_bytes(server), 0
        for i in range(40):
            c = stack.enter_context(contextlib.closing(h2.Client(server.port, timeout=0.5)))
            with contextlib.suppress(OSError):  # the server takes no more of it
                c.send(c.begin(), h2.message(b" " * (16 << 20))[:8 << 20])
            if i % 4 == 0:
                assert predict(server) == 2
            most = max(most, resident_bytes(server))
        assert most - before < 80e6 or sanitized(build), "of 320 MB"  # the address sanitizer keeps what is freed


@TRANSPORTS
def test_slow_loris_and_half_closed_sockets(build, tmp_path, transport):
    base = write_model(tmp_path / "m", 1, 1, 1)
    with ModelServer(build, "--model_name=m", f"--model_base_path={base}", f"--grpc_transport={transport}") as server:
        wait(lambda: predict(server) == 2, "the model")
        payload = h2.message(request().SerializeToString())
        # Half closed with a whole call: it is answered or the connection ends. In the middle of one: the connection ends.
        for piece, end in ((payload, True), (payload[:-5], False), (b"", False)):
            c = h2.Client(server.port)
            stream = c.begin()
            c.send(stream, piece, end)
            c.half_close()
            data = c.answer(stream)
            assert not data or end
            if end and transport == "http2" and not sanitized(build):
                assert data  # a model that is quick runs in the turn that reads its call, before the end is seen
            c.close()
        assert predict(server) == 2
        if transport == "library":
            return
        # Nothing, half of the preface, the preface without settings: closed. Settings and then half a head: harmless.
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        slow = []
        for i in range(60):
            s = socket.create_connection(("127.0.0.1", server.port))
            s.sendall((b"", preface[:10], preface)[i % 3])
            slow.append(s)
        stuck = h2.Client(server.port)
        stuck.socket.sendall(h2.frame(h2.HEADERS, 0, 1, b"\0\x07:method"[:5]))  # its CONTINUATION never comes
        until, closed = time.monotonic() + 40, 0
        while closed < len(slow) and time.monotonic() < until:
            assert predict(server) == 2
            time.sleep(0.5)
            closed = 0
            for s in slow:
                s.setblocking(False)
                try:
                    while s.recv(4096):
                        pass
                    closed += 1
                except BlockingIOError:
                    pass
                except OSError:
                    closed += 1
        assert closed == len(slow)
        for s in slow:
            s.close()
        stuck.close()


@TRANSPORTS
def test_kill_and_restart_on_the_same_port(build, tmp_path, transport):
    base = write_model(tmp_path / "m", 1, 1, 1)
    port = free_port()
    flags = ("--model_name=m", f"--model_base_path={base}", f"--grpc_transport={transport}")
    with ModelServer(build, *flags, grpc_port=port) as first, contextlib.ExitStack() as others:
        wait(lambda: predict(first) == 2, "the model")
        running = first
        for _ in range(3):
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
            running = others.enter_context(ModelServer(build, *flags, grpc_port=port, wait=False))
            wait(lambda: predict(running) == 2, "the model after the restart")
            wait(lambda: predict(first) == 2, "the old client's channel")
            for s in idle:
                s.close()


def test_reloads_with_errors_change_nothing(build, tmp_path):
    base = write_model(tmp_path / "m", 1, 1, 1)
    text = f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" }} }}'
    file = tmp_path / "models.txt"
    file.write_text(text)
    with ModelServer(build, f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1") as server:
        wait(lambda: predict(server) == 2, "the model")
        load = Load(server, 2)
        bad = [("", "INVALID_ARGUMENT", {"base_path": "relative"}), ("", "INVALID_ARGUMENT", {"model_platform": "none"}),
               ("", "FAILED_PRECONDITION", {"model_platform": "onnx"}), ("", "INVALID_ARGUMENT", {"name": ""})]
        for _, code, fields in bad:
            reload = model_management_pb2.ReloadConfigRequest()
            for name in ("m", "other"):
                config = reload.config.model_config_list.config.add()
                config.name, config.base_path, config.model_platform = name, str(base), "tensorflow"
            for key, value in fields.items():
                setattr(reload.config.model_config_list.config[0], key, value)
            assert failure(server.models.HandleReloadConfigRequest, reload)[0] == code, fields
            assert failure(server.predict.Predict, request("other"))[0] == "NOT_FOUND"  # nor the good half of it
        for broken in ("improperly formatted", text.replace("base_path", "base_pat"), text.replace(str(base), "relative"), text[:-3], "\0" * 100):
            whole = tmp_path / "broken.txt"  # moved there whole: a poll that reads half of it would read no models
            whole.write_text(broken)
            whole.rename(file)
            time.sleep(1.2)
            assert states(server, "m") == {1: (AVAILABLE, "")}
        file.unlink()
        time.sleep(1.2)
        load.stop()
        assert not load.failed and set(load.answers) == {2.0}
        assert server.text().count("PollFilesystemAndReloadConfig failed to ReloadConfig()") >= 5


@TRANSPORTS
@pytest.mark.parametrize("batching", [False, True])
def test_sigterm_under_load_loses_nothing(build, tmp_path, transport, batching):
    """A call that reached the server is answered; later ones are refused by the port, or told that the server is stopping."""
    base = write_model(tmp_path / "m", 1, 1, 1)
    flags = ["--model_name=m", f"--model_base_path={base}", f"--grpc_transport={transport}", "--shutdown_delay_seconds=1"]
    if batching:  # a lone request waits for company for two seconds: the stop must not wait for it
        parameters = tmp_path / "batching.txt"
        parameters.write_text("max_batch_size { value: 8 } batch_timeout_micros { value: 2000000 } num_batch_threads { value: 1 }")
        flags += ["--enable_batching", f"--batching_parameters_file={parameters}"]
    with ModelServer(build, *flags) as server:
        wait(lambda: predict(server) == 2, "the model")
        load = Load(server, 8)
        time.sleep(0.5)
        if batching:
            wait_for(lambda: metric(get_metrics(server), "tenon_batch_size_count", model="m") > 0, "a batch")
        before = len(load.answers)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert len(load.answers) > before or batching  # served until the delay is over
        assert server.process.wait(timeout=30) == 0
        load.stop()
        assert set(load.answers) == {2.0} and len(load.answers) > 8
        for code, details in load.failed:
            assert code == grpc.StatusCode.UNAVAILABLE
            assert "server is stopping" in details or "ailed to connect" in details, details


def get_metrics(server):
    import requests
    return requests.get(f"http://127.0.0.1:{server.rest}/metrics", timeout=10).text
