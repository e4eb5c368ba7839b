"""The profiler service: sessions, and traces of what the server did meanwhile."""
import threading
import time

import pytest
from grpc_client import MODELS, TF1, ModelServer, check_predict, failure, predict_request
from serving import free_port

pytestmark = pytest.mark.skipif(not MODELS.exists(), reason="the models of TensorFlow Serving's tests are not here (TENON_TEST_DATA)")


def test_profiler(build):
    """A session ends after its duration or by Terminate, while other requests are answered, which its trace shows."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    def profile(channel, ms, session=b"", timeout=20):
        options = b"\x48" + varint(ms)  # opts {duration_ms}
        request = b"\x22" + bytes([len(options)]) + options + (b"\x32" + bytes([len(session)]) + session if session else b"")
        return channel.unary_unary("/tensorflow.ProfilerService/Profile").future(request, timeout=timeout)

    def check_names(response, names):
        assert response.startswith(b"\x32") and b"\x0a\x09xplane.pb\x12" in response  # tool_data {name, data}
        at = response.index(b"xplane.pb") + 10
        size, shift = 0, 0
        while True:
            byte, at = response[at], at + 1
            size, shift = size | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        space = xplane_pb2.XSpace.FromString(response[at:at + size])
        assert at + size == len(response)
        (plane,) = space.planes
        assert plane.name == "/host:CPU" and {plane.event_metadata[e.metadata_id].name for line in plane.lines for e in line.events} == set(names)
        for line in plane.lines:
            assert abs(line.timestamp_ns / 1e9 - time.time()) < 60
            assert all(0 <= e.offset_ps < 60e12 and 0 < e.duration_ps < 60e12 for e in line.events)

    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}") as server:
        begun = time.monotonic()
        short, long = profile(server.channel, 1000), profile(server.channel, 60_000, b"s1")
        time.sleep(0.2)
        check_predict(server, predict_request(shape=(1, 1)), 3.0)
        check_names(short.result(), ["GRPC Predict default OK", "run default:123 serving_default"])
        assert time.monotonic() - begun >= 1
        assert server.channel.unary_unary("/tensorflow.ProfilerService/Terminate")(b"\x0a\x02s1", timeout=10) == b""
        check_names(long.result(), ["GRPC Predict default OK", "run default:123 serving_default"])
        assert time.monotonic() - begun < 30
        assert profile(server.channel, 10).result() == b"\x38\x01"  # nothing happens: an empty trace, and it says so
        assert failure(lambda r, t: profile(server.channel, 60_000, timeout=0.3).result(), None)[0] == "DEADLINE_EXCEEDED"
        assert failure(server.channel.unary_unary("/tensorflow.ProfilerService/Monitor"), b"") == ("UNIMPLEMENTED", "unimplemented.")
        waiting = profile(server.channel, 60_000)
        check_predict(server, predict_request(shape=(1, 1)), 3.0)
        server.process.terminate()  # nobody waits for a session
        server.process.wait(10)
        assert waiting.exception(10) is not None
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}", "--enable_profiler=false") as server:
        assert failure(server.channel.unary_unary("/tensorflow.ProfilerService/Terminate"), b"")[0] == "UNIMPLEMENTED"


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


@pytest.mark.parametrize("flags, runs", [((), "run m:1 serving_default"), (("--enable_batching",), "batch m:1 serving_default")])
def test_tensorflows_own_client_takes_a_trace(serve, model, tmp_path, flags, runs):
    """While REST traffic runs, as the original's test does it; what it writes is what TensorBoard reads."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    port, stop = free_port(), threading.Event()
    server = serve("--model_name=m", f"--model_base_path={model}", f"--port={port}", *flags)

    def ask():
        while not stop.is_set():
            assert server.predict("m", [2]).json() == {"predictions": [3.0]}

    client = threading.Thread(target=ask)
    client.start()
    try:
        tf.profiler.experimental.client.trace(f"grpc://127.0.0.1:{port}", str(tmp_path / "log"), 1000)
    finally:
        stop.set()
        client.join()
    (file,) = (tmp_path / "log").rglob("*.xplane.pb")
    (plane,) = xplane_pb2.XSpace.FromString(file.read_bytes()).planes
    events = [(plane.event_metadata[event.metadata_id].name, event) for line in plane.lines for event in line.events]
    assert {name for name, _ in events} == {"REST predict m OK", runs}
    assert len(events) >= 4 and all(0 <= event.offset_ps < 30e12 and 0 < event.duration_ps < 30e12 for _, event in events)
