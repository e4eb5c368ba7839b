"""The life of versions: tries, swaps, what ends them, and signals."""
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests
from serving import free_port, wait_for, write_model
from serving_contract import HALF, config, states


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_start_that_waits(program, tmp_path, number):
    """In an orderly way: where the server is the first process of a container, a signal without a handler does nothing."""
    shutil.copytree(HALF, tmp_path / "m" / "1") if HALF.exists() else write_model(tmp_path / "m", 1, 0.5, 2)
    extra = tmp_path / "m" / "1" / "assets.extra"
    extra.mkdir(exist_ok=True)
    fifo = extra / "tf_serving_warmup_requests"
    os.mkfifo(fifo)  # reading it does not end
    process = subprocess.Popen([str(program), f"--port={free_port()}", "--model_name=m", f"--model_base_path={tmp_path / 'm'}"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    held, until = None, time.monotonic() + 30
    while held is None and time.monotonic() < until and process.poll() is None:
        try:
            held = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)  # works once the server reads
        except OSError:
            time.sleep(0.02)
    assert process.poll() is None and held is not None
    process.send_signal(number)
    assert process.wait(timeout=20) == 0, process.communicate()[0]
    process.stdout.close()
    os.close(held)


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
