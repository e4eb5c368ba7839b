"""Version swaps under mixed REST and gRPC load: no request fails, each answer is of one version, memory stays flat.

TENON_SWAPS=1000 makes the full run (some minutes); 40 by default.
"""
import os
import threading
import time

import grpc
import onnx
import pytest
import requests
from grpc_client import ModelServer, sanitized
from onnx import TensorProto, helper
from tensorflow.python.framework import tensor_util
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, predict_pb2

SWAPS = int(os.environ.get("TENON_SWAPS", "40"))


def write_version(folder, version):
    """y = x + version and z = x + version + 0.5, so that an answer shows which version made each of its parts."""
    folder = folder / str(version)
    folder.mkdir(parents=True)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch"])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch"]) for n in "yz"]
    constants = [helper.make_tensor("a", TensorProto.FLOAT, [], [float(version)]), helper.make_tensor("b", TensorProto.FLOAT, [], [version + 0.5])]
    nodes = [helper.make_node("Add", ["x", "a"], ["y"]), helper.make_node("Add", ["x", "b"], ["z"])]
    graph = helper.make_graph(nodes, "g", [x], outputs, initializer=constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "model.onnx"))


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def configure(server, base, version):
    request = model_management_pb2.ReloadConfigRequest()
    config = request.config.model_config_list.config.add()
    config.name, config.base_path, config.model_platform = "m", str(base), "tensorflow"
    config.model_version_policy.specific.versions.append(version)
    assert server.models.HandleReloadConfigRequest(request, 60).status.error_code == 0


def available(server, version):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    states = {s.version: s.state for s in server.models.GetModelStatus(request, 10).model_version_status}
    return states.get(version) == 30 and not any(state in (30, 40) for v, state in states.items() if v != version)


@pytest.mark.parametrize("transport", ["http2", "library"])
def test_swaps_lose_and_mix_nothing(build, tmp_path, transport):
    base = tmp_path / "m"
    for version in range(1, SWAPS + 2):
        write_version(base, version)
    file = tmp_path / "models.txt"
    file.write_text(f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" '
                    'model_version_policy { specific { versions: 1 } } } }')
    with ModelServer(build, f"--model_config_file={file}", f"--grpc_transport={transport}") as server:
        wait(lambda: available(server, 1))
        stop, wrong, answers = threading.Event(), [], [0] * 4

        def check(who, x, y, z, version=None):
            answers[who] += 1
            made = y - x
            if z - x != made + 0.5 or made != int(made) or not 1 <= made <= SWAPS + 1 or (version is not None and version != made):
                wrong.append((who, x, y, z, version))

        def over_grpc(who):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "m"
            for x in endless(stop):
                request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto([float(x)], dtype="float32"))
                try:
                    reply = server.predict.Predict(request, 30)
                except grpc.RpcError as error:
                    wrong.append((who, error.code(), error.details()))
                    continue
                check(who, x, reply.outputs["y"].float_val[0], reply.outputs["z"].float_val[0], reply.model_spec.version.value)

        def over_rest(who):
            with requests.Session() as session:
                for x in endless(stop):
                    reply = session.post(f"http://127.0.0.1:{server.rest}/v1/models/m:predict", json={"instances": [float(x)]}, timeout=30)
                    if reply.status_code != 200:
                        wrong.append((who, reply.status_code, reply.text))
                        continue
                    row = reply.json()["predictions"][0]
                    check(who, x, row["y"], row["z"])

        clients = [threading.Thread(target=run, args=(who,)) for who, run in enumerate((over_grpc, over_grpc, over_rest, over_rest))]
        for client in clients:
            client.start()
        sizes = []
        try:
            for version in range(2, SWAPS + 2):
                configure(server, base, version)
                wait(lambda v=version: available(server, v))
                sizes.append(resident_bytes(server.process.pid))
                if wrong:
                    break
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert not wrong, wrong[:5]
        assert min(answers) > 0
        print(f"{SWAPS} swaps, {sum(answers)} answers, resident {sizes[min(50, len(sizes) - 1)] >> 20} -> {sizes[-1] >> 20} MiB")
        if SWAPS >= 200 and not sanitized(build):  # a sanitizer keeps what is freed for a while
            settled = sizes[50:]
            assert max(settled[-50:]) < 1.05 * max(settled[:50]), (settled[0], settled[-1])


def endless(stop):
    x = 0
    while not stop.is_set():
        yield x % 1000
        x += 1


def wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("the version did not become available")
        time.sleep(0.002)
