"""REST, rule by rule: URLs, JSON in, bytes out, errors, transport."""
import gzip
import json
import socket

import onnx
import pytest
import requests
from onnx import TensorProto, helper
from serving import Server, write_model

TYPES = {"f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16, "i32": TensorProto.INT32, "i64": TensorProto.INT64,
         "i8": TensorProto.INT8, "u8": TensorProto.UINT8, "u32": TensorProto.UINT32, "bool": TensorProto.BOOL, "text": TensorProto.STRING}


def write_identity(folder, ports, dims=("batch",)):
    """y = x for each (input, output, type)."""
    nodes, ins, outs = [], [], []
    for x, y, dtype in ports:
        nodes.append(helper.make_node("Identity", [x], [y]))
        ins.append(helper.make_tensor_value_info(x, dtype, dims))
        outs.append(helper.make_tensor_value_info(y, dtype, dims))
    graph = helper.make_graph(nodes, "identity", ins, outs)
    (folder / "1").mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "1/model.onnx"))


@pytest.fixture(scope="module")
def server(build, tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    write_model(base / "m", 123, 0.5, 2)
    for name, dtype in TYPES.items():
        write_identity(base / name, [("x", "y", dtype)])
    write_identity(base / "two", [("a", "c", TensorProto.FLOAT), ("b", "d_bytes", TensorProto.STRING)])
    write_identity(base / "matrix", [("x", "y", TensorProto.FLOAT)], ("batch", "n"))
    write_identity(base / "scalar", [("x", "y", TensorProto.FLOAT)], ())
    names = ["m", *TYPES, "two", "matrix", "scalar"]
    (base / "config").write_text("model_config_list {\n" + "".join(
        f'config {{ name: "{n}" base_path: "{base / n}" model_platform: "tensorflow" }}\n' for n in names) + "}")
    running = Server(build / "bin" / "tensorflow_model_server", f"--model_config_file={base / 'config'}",
                     "--rest_api_enable_cors_support", "--max_body_bytes=4000000", "--rest_api_compress_replies")
    yield running
    running.stop()


def test_forms(server):
    row = server.predict("m", [2, 3, 4])
    assert row.status_code == 200
    assert row.headers["Content-Type"] == "application/json"
    assert row.content == b'{\n    "predictions": [3.0, 3.5, 4.0\n    ]\n}'
    columns = server.post("/v1/models/m:predict", {"inputs": [2, 3, 4]})
    assert columns.json() == {"outputs": [3.0, 3.5, 4.0]}
    assert server.post("/v1/models/m/versions/123:predict", {"instances": [{"x": 2}]}).json() == {"predictions": [3.0]}
    assert server.get("/v1/models/m").json() == {
        "model_version_status": [{"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}
    spec = server.get("/v1/models/m/metadata").json()
    assert spec["model_spec"] == {"name": "m", "signature_name": "", "version": "123"}
    signature = spec["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["defaults"] == {} and signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize("model, body, reply", [
    # Numbers: six digits when they come back, else nine (seventeen); always a point or an exponent.
    ("f32", {"instances": [0.1, 1 / 3, 1e10, 1e-7, 123456.7, -0.0, 3]},
     '{\n    "predictions": [0.1, 0.333333343, 1e+10, 1e-07, 123456.703, -0.0, 3.0\n    ]\n}'),
    ("f64", {"instances": [0.1, 1 / 3, 1e300]}, '{\n    "predictions": [0.1, 0.33333333333333331, 1e+300\n    ]\n}'),
    ("f32", '{"instances": [NaN, Inf, -Inf, Infinity, -Infinity, 1e39, 1e-60]}',
     '{\n    "predictions": [NaN, Infinity, -Infinity, Infinity, -Infinity, Infinity, 0.0\n    ]\n}'),
    ("i64", {"instances": [9223372036854775807, -9223372036854775808]},
     '{\n    "predictions": [9223372036854775807, -9223372036854775808\n    ]\n}'),
    ("u32", {"instances": [4294967295]}, '{\n    "predictions": [4294967295\n    ]\n}'),
    ("bool", {"instances": [True, False]}, '{\n    "predictions": [true, false\n    ]\n}'),
    ("text", {"instances": ["a", {"b64": "aGk="}, {"b64": "aGk"}, "\u00e9\"\n"]},
     '{\n    "predictions": ["a", "hi", "hi", "\u00e9\\"\\n"\n    ]\n}'),
    # Layout: rows on one line each; columns one element a line.
    ("matrix", {"instances": [[1, 2], [3, 4]]}, '{\n    "predictions": [[1.0, 2.0], [3.0, 4.0]\n    ]\n}'),
    ("f32", {"inputs": [2.5, 3]}, '{\n    "outputs": [\n        2.5,\n        3.0\n    ]\n}'),
    ("f32", {"inputs": {"x": [2.5]}}, '{\n    "outputs": [\n        2.5\n    ]\n}'),
    ("scalar", {"inputs": 2.5}, '{\n    "outputs": 2.5\n}'),
    ("f32", {"inputs": []}, '{\n    "outputs": []\n}'),
    ("two", {"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": {"b64": "/w=="}}]}, None),
    # Reading: a byte order mark, what follows the object, the first of two equal keys, keys that are not known.
    ("f32", b'\xef\xbb\xbf{"instances": [1]} and more', '{\n    "predictions": [1.0\n    ]\n}'),
    ("f32", '{"instances": [1], "instances": [2], "other": {"deep": [[]]}}', '{\n    "predictions": [1.0\n    ]\n}'),
    ("f32", '{"instances": [{"x": 1}, {"x": 2}], "signature_name": "serving_default"}', '{\n    "predictions": [1.0, 2.0\n    ]\n}'),
])
def test_bytes(server, model, body, reply):
    got = server.post(f"/v1/models/{model}:predict", json.dumps(body) if isinstance(body, dict) else body)
    assert got.status_code == 200, got.text
    if reply is None:
        assert got.json() == {"predictions": [{"c": 1.0, "d_bytes": {"b64": "eA=="}}, {"c": 2.0, "d_bytes": {"b64": "/w=="}}]}
    else:
        assert got.content.decode() == reply


@pytest.mark.parametrize("method, path, body, status, error", [
    ("POST", "/v1/models/m:predict", "", 400, "JSON Parse error: The document is empty"),
    ("POST", "/v1/models/m:predict", "{}", 400, "Missing 'inputs' or 'instances' key"),
    ("POST", "/v1/models/m:predict", '{"instances": [1], "inputs": 1}', 400,
     "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"),
    ("POST", "/v1/models/m:predict", '{"instances": []}', 400, "No values in 'instances' array"),
    ("POST", "/v1/models/m:predict", '{"instances": {"x": 1}}', 400, "Expecting 'instances' to be an list/array"),
    ("POST", "/v1/models/m:predict", '{"signature_name": 3, "instances": [1]}', 400, "'signature_name' key must be a string value."),
    ("POST", "/v1/models/m:predict", '{"signature_name": "s", "instances": [1]}', 400,
     'Serving signature name: "s" not found in signature def'),
    ("POST", "/v1/models/m:predict", "[1]", 400, "Is not object"),
    ("POST", "/v1/models/m:predict", '{"instances": [1e400]}', 400, "JSON Parse error: Number too big to be stored in double. at offset: 15"),
    ("POST", "/v1/models/m:predict", '{"instances": [nan]}', 400, "JSON Parse error: Invalid value. at offset: 16"),
    ("POST", "/v1/models/m:predict", '{"instances": ["x"]}', 400, "Type: String is not of expected type: float"),
    ("POST", "/v1/models/i32:predict", '{"instances": [3.0]}', 400, "Type: Number is not of expected type: int32"),
    ("POST", "/v1/models/i32:predict", '{"instances": [3000000000]}', 400, "Type: Number is not of expected type: int32"),
    ("POST", "/v1/models/bool:predict", '{"instances": [1]}', 400, "Type: Number is not of expected type: bool"),
    ("POST", "/v1/models/text:predict", '{"instances": [{"b64": "%%"}]}', 400, "Unable to base64 decode"),
    ("POST", "/v1/models/two:predict", '{"instances": [1, 2]}', 400,
     "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map"),
    ("POST", "/v1/models/two:predict", '{"inputs": {"a": [1]}}', 400, "Missing named input: b in 'inputs' object."),
    ("POST", "/v1/models/m:predict", '{"instances": [{"z": 1}]}', 400, "JSON object: does not have named input: z"),
    ("POST", "/v1/models/two:predict", '{"instances": [{"a": 1}]}', 400, "keys must be equal to: a,b"),
    ("POST", "/v1/models/f16:predict", '{"inputs": [0.5]}', 501, "to type: half"),
    ("POST", "/v1/models/m:predict", '{"instances": [{"x": 1}, [1]]}', 400, "Expecting object but got list at item 1 of input list"),
    ("POST", "/v1/models/m:predict", '{"instances": [1, {"x": 1}]}', 400, "Expecting value/list but got object at item 1 of input list"),
    ("POST", "/v1/models/matrix:predict", '{"instances": [[1, 2], [3]]}', 400, "Expecting tensor size: 2 but got: 1"),
    ("POST", "/v1/models/x:predict", '{"instances": [1]}', 404, "Servable not found for request: Latest(x)"),
    ("POST", "/v1/models/m/versions/5:predict", '{"instances": [1]}', 404, "Servable not found for request: Specific(m, 5)"),
    ("POST", "/v1/models/m/labels/l:predict", '{"instances": [1]}', 400, "Unrecognized servable version label: l"),
    ("POST", "/v1/models/m:PREDICT", "{}", 400, "Malformed request: POST /v1/models/m:PREDICT"),
    ("POST", "/v1/models/m:predict?q=1", '{"instances": [1]}', 400, "Malformed request: POST /v1/models/m:predict?q=1"),
    ("POST", "/v1/models/m/versions/99999999999999999999:predict", "{}", 400, "Failed to convert version: 99999999999999999999 to numeric."),
    ("GET", "/v1/models", None, 400, "Missing model name in request."),
    ("GET", "/v1/models/x", None, 404, "Could not find any versions of model x"),
    ("GET", "/v1/models/m?q", None, 404, "Could not find any versions of model m?q"),
    ("GET", "/v1/models/m/versions/7", None, 404, "Could not find version 7 of model m"),
    ("GET", "/v1/models/x/metadata", None, 404, "Servable not found for request: Latest(x)"),
    ("GET", "/v1/config", None, 400, "Malformed request: GET /v1/config"),
    ("PUT", "/v1/models/m", "", 400, "Malformed request: PUT /v1/models/m"),
    ("PATCH", "/v1/models/m", "", 400, "Malformed request: PATCH /v1/models/m"),
    ("DELETE", "/v1/x", None, 400, "Malformed request: DELETE /v1/x"),
])
def test_errors(server, method, path, body, status, error):
    reply = requests.request(method, server.url + path, data=body, timeout=10)
    assert reply.status_code == status and list(reply.json()) == ["error"], reply.text
    said = reply.json()["error"]  # some quote the request before or wrap the text
    assert said == error or said.rstrip().endswith(error) and said.startswith(("JSON Value: ", "JSON object: ", "Failed to process element: ", "Conversion of JSON Value: ")), said
    assert reply.text.startswith('{\n    "error": "') and reply.text.endswith('"\n}')
    assert reply.headers["Content-Type"] == "application/json"


def test_urls(server):
    assert server.get("/V1/Models/m").json() == server.get("/v1/models/m").json()
    assert server.get("/v1/models/m/METADATA").json() == server.get("/v1/models/m").json()  # the original's quirk
    assert server.get("/v1/models/%6d").json() == server.get("/v1/models/m").json()
    assert server.get("/v1/models/m/labels/bogus").json() == server.get("/v1/models/m").json()
    assert server.post("/v1/models/%6D:predict", {"instances": [2]}).json() == {"predictions": [3.0]}


def test_quotes_are_cut_and_nesting_is_bounded(server):
    said = server.post("/v1/models/m:predict", {"instances": ["y" * 5000]}).json()["error"]
    assert len(said) < 600 and "is not of expected type: float" in said
    deep = server.post("/v1/models/m:predict", '{"instances": ' + "[" * 500_000)
    assert deep.status_code == 400 and "error" in deep.json()
    deep = server.post("/v1/models/m:predict", '{"instances": ' + "[" * 500_000 + "]" * 500_000 + "}")
    assert deep.status_code == 400 and "error" in deep.json()
    assert server.predict("m", [2]).status_code == 200


def test_cors_options_head(server):
    good = requests.options(server.url + "/v1/models/m:predict", headers={"Origin": "http://a.b"}, timeout=10)
    assert (good.status_code, good.content) == (200, b"")
    assert good.headers["Access-Control-Allow-Origin"] == "*"
    assert good.headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert good.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert requests.options(server.url + "/v1/models/m", timeout=10).status_code == 400
    head = requests.head(server.url + "/v1/models/m", timeout=10)
    assert (head.status_code, head.content) == (400, b"")
    assert server.get("/nothing").status_code == 404


def test_gzip_both_ways_chunked_and_oversize(server):
    url = server.url + "/v1/models/m:predict"
    body = json.dumps({"instances": [2.0] * 2000}).encode()
    reply = requests.post(url, data=gzip.compress(body), headers={"Content-Encoding": "gzip"}, timeout=10)
    assert reply.json() == {"predictions": [3.0] * 2000}
    assert reply.headers["Content-Encoding"] == "gzip"  # requests says that it accepts it
    plain = requests.post(url, data=body, headers={"Accept-Encoding": "identity"}, timeout=10)
    assert "Content-Encoding" not in plain.headers
    broken = requests.post(url, data=b"no gzip", headers={"Content-Encoding": "gzip"}, timeout=10)
    assert (broken.status_code, broken.json()["error"]) == (400, "JSON Parse error: The document is empty")
    chunked = requests.post(url, data=iter([body[:100], body[100:]]), timeout=10)
    assert chunked.json() == {"predictions": [3.0] * 2000}
    assert requests.post(url, data=b"x" * 5_000_000, timeout=10).status_code == 413


def test_keep_alive_and_a_pipeline(server):
    """Two requests sent at once on one connection are answered in order on it; HTTP/1.0 closes."""
    body = b'{"instances": [2]}'
    one = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(one + b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while part := s.recv(65536):
            got += part
    assert got.count(b"HTTP/1.1 200 OK") == 2 and got.index(b"predictions") < got.index(b"model_version_status")
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(b"GET /v1/models/m HTTP/1.0\r\n\r\n")
        got = b""
        while part := s.recv(65536):
            got += part
    assert b" 200 OK" in got and b"AVAILABLE" in got
