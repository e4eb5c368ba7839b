"""The list of models changes while the server runs: labels, policies, from all sides."""
import signal
import threading
import time

import requests
from serving import free_port, wait_for, write_model
from serving_contract import config, states, write_config


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
