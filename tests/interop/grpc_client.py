"""A server process for the tests, and the real client's stubs."""
import os
import pathlib
import socket
import subprocess
import time

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

DATA = pathlib.Path(os.environ.get("TENON_TEST_DATA", pathlib.Path(__file__).resolve().parents[2] / "../shared"))
MODELS = DATA / "data/savedmodel/tf_serving/servables/tensorflow/testdata"


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
        self.log = open(f"/tmp/tenon-serving-{os.getpid()}-{self.port}.log", "w+", encoding="utf-8")
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
