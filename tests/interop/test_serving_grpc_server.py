"""The gRPC server itself: sockets, TLS, health, reflection, drain, batches under load."""
import shutil
import threading
import time

import grpc
import numpy as np
import pytest
from grpc_client import MODELS, TF1, ModelServer, check_predict, failure, predict_request
from tensorflow.python.framework import tensor_util

pytestmark = pytest.mark.skipif(not MODELS.exists(), reason="the models of TensorFlow Serving's tests are not here (TENON_TEST_DATA)")


def theirs_by_name(name):
    from google.protobuf import descriptor_pool
    return descriptor_pool.Default().FindMessageTypeByName(name)


def compare(ours, theirs, seen):
    if ours.full_name in seen or ours.full_name.startswith("google."):
        return
    seen.add(ours.full_name)
    numbers = {f.number: f for f in theirs.fields}
    for field in ours.fields:
        other = numbers[field.number]
        assert (field.name, field.type, field.label if hasattr(field, "label") else 0) == (other.name, other.type, other.label if hasattr(other, "label") else 0), field.full_name
        if field.message_type is not None and other.message_type.full_name == field.message_type.full_name:
            compare(field.message_type, other.message_type, seen)


def make_certificates(folder):
    """A CA, a server's and a client's certificate for localhost, made by the openssl command."""
    import subprocess
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=test-ca")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        (folder / "ext").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile", "ext")
    return {name: (folder / name).read_text() for name in ("ca.crt", "server.key", "server.crt", "client.key", "client.crt")}


def test_unix_socket(build, tmp_path):
    path = tmp_path / "s.sock"
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}", f"--grpc_socket_path={path}") as server:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            server.predict = type(server.predict)(channel)
            check_predict(server, predict_request(shape=(1, 1)), 3.0)


def test_good_channel_arguments(build):
    arguments = "grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb"
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}", f"--grpc_channel_arguments={arguments}") as server:
        check_predict(server, predict_request(shape=(1, 1)), 3.0)


def test_tensor_content_replies(build):
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}", "--enable_serialization_as_tensor_content=true") as server:
        reply = server.predict.Predict(predict_request(shape=(1, 1)), 10)
        assert not reply.outputs["y"].float_val
        assert np.frombuffer(reply.outputs["y"].tensor_content, "f").tolist() == [3.0]


def test_health(build):
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}", "--enable_grpc_healthcheck_service=true") as server:
        stub = health_pb2_grpc.HealthStub(server.channel)
        for name in ("", "tensorflow.serving.PredictionService", "ModelService"):
            assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


def test_reflection(build):
    from google.protobuf import descriptor_pool
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}") as server:
        database = ProtoReflectionDescriptorDatabase(server.channel)
        assert "tensorflow.serving.PredictionService" in database.get_services()
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("tensorflow.serving.PredictionService")
        # Each message has the numbers and types of the real one.
        for method in service.methods:
            for ours, theirs in ((method.input_type, None), (method.output_type, None)):
                compare(ours, theirs_by_name(ours.full_name), set())


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(build, tmp_path, mutual):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    pem = make_certificates(tmp_path)
    quote = lambda text: '"' + text.replace("\n", "\\n") + '"'
    ssl = tmp_path / "ssl.txt"
    ssl.write_text(f'server_key: {quote(pem["server.key"])}\nserver_cert: {quote(pem["server.crt"])}\n'
                   f'custom_ca: {quote(pem["ca.crt"])}\nclient_verify: {"true" if mutual else "false"}\n')
    ca = pem["ca.crt"].encode()
    own = {"private_key": pem["client.key"].encode(), "certificate_chain": pem["client.crt"].encode()} if mutual else {}
    flags = ("--model_name=default", f"--model_base_path={TF1}", f"--ssl_config_file={ssl}")
    with ModelServer(build, *flags, secure=grpc.ssl_channel_credentials(ca, **own)) as server:
        check_predict(server, predict_request(shape=(1, 1)), 3.0)
        options = [("grpc.ssl_target_name_override", "localhost")]
        for credentials in [None] + ([grpc.ssl_channel_credentials(ca)] if mutual else []):
            target = f"127.0.0.1:{server.port}"
            channel = grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target)
            with channel, pytest.raises(grpc.RpcError) as info:
                type(server.predict)(channel).Predict(predict_request(shape=(1, 1)), 5)
            assert info.value.code() == grpc.StatusCode.UNAVAILABLE


def test_sigterm_loses_no_request(build):
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}") as server:
        stop, lost, good = threading.Event(), [], [0]

        def load():
            while not stop.is_set():
                try:
                    check_predict(server, predict_request(shape=(1, 1)), 3.0)
                    good[0] += 1
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:  # the port is closed
                        lost.append(error)
                    return

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        server.process.terminate()
        server.process.wait(30)
        stop.set()
        for thread in threads:
            thread.join()
        assert not lost and good[0] > 0


def test_batched_requests(build):
    """The original's batching file: eight clients, and each gets its own rows back."""
    flags = ("--model_name=default", f"--model_base_path={TF1}", "--enable_batching", f"--batching_parameters_file={MODELS / 'batching_config.txt'}")
    with ModelServer(build, *flags) as server:
        wrong = []

        def ask(who):
            for i in range(20):
                values = np.full((1 + who % 3, 1), who + i, "f")
                request = predict_request()
                request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto(values))
                reply = tensor_util.MakeNdarray(server.predict.Predict(request, 30).outputs["y"])
                if not np.array_equal(reply, values / 2 + 2):
                    wrong.append((who, i, reply))

        threads = [threading.Thread(target=ask, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        # Larger than the batches of that file.
        request = predict_request()
        request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto(np.zeros((200, 1), "f")))
        code, text = failure(server.predict.Predict, request)
        assert (code, text) == ("INVALID_ARGUMENT", "Task size 200 is larger than maximum input batch size 128")
