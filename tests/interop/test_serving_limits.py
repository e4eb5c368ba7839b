"""What one client, or all of them, may take."""
import contextlib
import select
import socket
import time

import pytest
from serving import free_port, metric, wait_for


@pytest.mark.parametrize("transport", ["http2", "library"])
def test_grpc_calls_of_one_address_are_limited(serve, model, tmp_path, transport):
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    port, path = free_port(), tmp_path / "s.sock"
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", f"--grpc_socket_path={path}", "--requests_per_second=5",
                   "--enable_grpc_healthcheck_service=true", f"--grpc_transport={transport}")
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    codes = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, grpc.insecure_channel(f"unix:{path}") as local:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for _ in range(30):
            try:
                stub.GetModelStatus(request, 10)
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
                assert error.details() == "Request: too many calls from this address; try again in a second"
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), 10)
            model_service_pb2_grpc.ModelServiceStub(local).GetModelStatus(request, 10)
        assert codes[:5] == ["OK"] * 5 and codes.count("RESOURCE_EXHAUSTED") > 5
        time.sleep(1.2)
        stub.GetModelStatus(request, 10)
    assert 'tenon_refused_requests_total{reason="rate"}' in server.get("/metrics").text


def test_connections_are_limited(serve, model):
    """Each protocol takes as many as allowed. One more is closed and counted; those that are there go on, and make room when they go."""
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    port = free_port()
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", "--max_connections=4")
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    refused = lambda: metric(server.get("/metrics").text, "tenon_refused_requests_total", reason="connections")
    with contextlib.ExitStack() as stack:
        stubs = []
        for _ in range(5):
            channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]))
            stubs.append(model_service_pb2_grpc.ModelServiceStub(channel))
        for stub in stubs[:4]:
            stub.GetModelStatus(request, 10)
        with pytest.raises(grpc.RpcError) as info:
            stubs[4].GetModelStatus(request, 10)
        assert info.value.code() == grpc.StatusCode.UNAVAILABLE
        for stub in stubs[:4]:
            stub.GetModelStatus(request, 10)
        assert refused() >= 1
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, 20, wait_for_ready=True)
    before = refused()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(12)]
        ended = lambda: [client for client in clients if select.select([client], [], [], 0)[0]]
        wait_for(lambda: len(ended()) >= 8, "the connections beyond the limit to be closed")
        alive = next(client for client in clients if client not in ended())
        alive.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert alive.recv(100).startswith(b"HTTP/1.1 200")
    wait_for(lambda: refused() >= before + 8, "those that are there to go")


@pytest.mark.parametrize("transport", ["http2", "library"])
def test_tokens_are_judged_alike_on_both_protocols(serve, model, tmp_path, transport):
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    port, tokens = free_port(), tmp_path / "tokens"
    tokens.write_text("first\nsecond\n")
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", f"--bearer_token_file={tokens}", f"--grpc_transport={transport}")
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    good = ["Bearer first", "bearer second", "BEARER first"]
    bad = ["Bearer", "Bearer firs", "Bearer firstfirst", "Bearer  first", "Bearer First", "Basic first", "first", "Bearer third"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for text in good + bad:
            assert server.predict("m", [2], headers={"Authorization": text}).status_code == (200 if text in good else 401), text
            with contextlib.nullcontext() if text in good else pytest.raises(grpc.RpcError) as info:
                stub.GetModelStatus(request, 10, metadata=[("authorization", text)])
            assert text in good or info.value.code() == grpc.StatusCode.UNAUTHENTICATED, text
    page = server.get("/metrics", headers={"Authorization": "Bearer first"}).text
    assert metric(page, "tenon_refused_requests_total", reason="auth") == 2 * len(bad)
