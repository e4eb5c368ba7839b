"""A server process for the tests, and the real client's stubs."""
import os
import pathlib
import socket
import subprocess
import time

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import tensor_util
from tensorflow_serving.apis import model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

DATA = pathlib.Path(os.environ.get("TENON_TEST_DATA", pathlib.Path(__file__).resolve().parents[2] / "../shared"))
MODELS = DATA / "data/savedmodel/tf_serving/servables/tensorflow/testdata"


def sanitized(build):
    """Programs are slower then, and hold more memory."""
    cache = build / "CMakeCache.txt"
    return cache.exists() and "TENON_SANITIZE:STRING=\n" not in cache.read_text(encoding="utf-8")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class ModelServer:
    """`tenon serve` with gRPC and REST on free ports of the loopback; stops with the context."""

    def __init__(self, build, *flags, grpc_port=None, secure=None, wait=True):
        self.port, self.rest = grpc_port or free_port(), free_port()
        self.flags, self.build, self.secure, self.wait = flags, build, secure, wait

    def __enter__(self):
        command = [str(self.build / "bin/tenon"), "serve", "--address=127.0.0.1", f"--port={self.port}", f"--rest_api_port={self.rest}"]
        self.log = open(f"/tmp/tenon-serving-{os.getpid()}-{self.port}-{id(self)}.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([*command, *map(str, self.flags)], stdout=self.log, stderr=subprocess.STDOUT)
        target = f"127.0.0.1:{self.port}"
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.secure_channel(target, self.secure, options + [("grpc.ssl_target_name_override", "localhost")]) if self.secure else grpc.insecure_channel(target, options)
        self.predict = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        if self.wait:
            self.wait_ready()
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.log.close()
            os.unlink(self.log.name)

    def text(self):
        with open(self.log.name, encoding="utf-8") as f:
            return f.read()

    def wait_ready(self, seconds=60):
        """As the original's own tests do: a model that is not there answers with a text that says so."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "intentionally_missing_model"
        end = time.monotonic() + seconds
        while True:
            try:
                self.predict.Predict(request, 5)
            except grpc.RpcError as error:
                if "Servable" in error.details():
                    return
                last = error.details()
            assert self.process.poll() is None, f"the server ended:\n{self.text()}"
            assert time.monotonic() < end, f"not ready: {last}\n{self.text()}"
            time.sleep(0.1)


TF1 = MODELS / "saved_model_half_plus_two_cpu"
TF2 = MODELS / "saved_model_half_plus_two_tf2_cpu"
TWO = MODELS / "saved_model_half_plus_two_2_versions"


def predict_request(model="default", value=2.0, key="x", shape=(1,), signature="", version=None, label=None, filter_=()):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    tensor = request.inputs[key]
    tensor.dtype = types_pb2.DT_FLOAT
    tensor.tensor_shape.CopyFrom(tensor_util.make_tensor_proto(np.zeros(shape, "f")).tensor_shape)
    tensor.float_val.append(value)
    request.output_filter.extend(filter_)
    return request


def check_predict(server, request, expected, version=123, signature="serving_default"):
    reply = server.predict.Predict(request, 10)
    assert reply.outputs["y"].dtype == types_pb2.DT_FLOAT
    assert list(reply.outputs["y"].float_val) == [expected]
    assert reply.model_spec.name == request.model_spec.name
    assert reply.model_spec.version.value == version
    assert reply.model_spec.signature_name == signature


def failure(call, request):
    with pytest.raises(grpc.RpcError) as info:
        call(request, 10)
    return info.value.code().name, info.value.details()


def example_input(request, name="x", value=2.0, count=1):
    for _ in range(count):
        example = request.input.example_list.examples.add()
        example.features.feature[name].float_list.value.append(value)
