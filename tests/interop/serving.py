"""A server under test: models of one ONNX node each, a process that is ended with the test, and ports that are free."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import onnx
import requests
from onnx import TensorProto, helper


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_model(base, version, scale, offset):
    """base/version/model.onnx: y = scale * x + offset on f32[batch]; put in place by a rename."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])
    consts = [helper.make_tensor("a", TensorProto.FLOAT, [], [scale]), helper.make_tensor("b", TensorProto.FLOAT, [], [offset])]
    nodes = [helper.make_node("Mul", ["x", "a"], ["t"]), helper.make_node("Add", ["t", "b"], ["y"])]
    graph = helper.make_graph(nodes, "affine", [x], [y], initializer=consts)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    base = pathlib.Path(base)
    staging = base.parent / f".staging-{base.name}-{version}"
    staging.mkdir(parents=True)
    onnx.save(model, str(staging / "model.onnx"))
    base.mkdir(parents=True, exist_ok=True)
    staging.rename(base / str(version))
    return base


class Server:
    def __init__(self, program, *flags, ready=True, port=None, silent=False):
        """silent: nothing but errors in the log, for tests that would fill the pipe that it goes to."""
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [str(program), "--port=0", f"--rest_api_port={self.port}", "--address=127.0.0.1", *map(str, flags)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "TENON_LOG": "error"} if silent else None)
        if ready:
            wait_for(lambda: self.get("/readyz").status_code == 200, "the server to be ready", self)

    def get(self, path, **more):
        return requests.get(self.url + path, timeout=10, **more)

    def post(self, path, body, **more):
        send = {"json": body} if isinstance(body, (dict, list)) else {"data": body}
        return requests.post(self.url + path, timeout=20, **send, **more)

    def predict(self, model, values, **more):
        return self.post(f"/v1/models/{model}:predict", {"instances": values}, **more)

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def wait_for(condition, what, server=None, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if server is not None and server.process.poll() is not None:
            raise AssertionError(f"the server ended: {server.process.communicate()[0]}")
        with contextlib.suppress(requests.RequestException, ConnectionError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def metric(text, name, **labels):
    """The sum of the samples of a name whose labels include those given."""
    total = 0.0
    for line in text.splitlines():
        match = re.match(r"(\S+?)\{(.*)\} (\S+)$", line)
        if match and match[1] == name and all(f'{k}="{v}"' in match[2] for k, v in labels.items()):
            total += float(match[3])
    return total


def copy_version(base, source, version):
    shutil.copytree(source, pathlib.Path(base) / str(version))
