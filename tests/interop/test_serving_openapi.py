"""The description at /openapi.json: whole, and true of what the server takes."""
import shutil
import time

from serving import write_model
from serving_contract import DATA, HALF, config, needs_half, write_config

COUNTER = DATA / "data/savedmodel/tf_serving/servables/tensorflow/testdata/saved_model_counter"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def fits(value, schema, root):
    """Whether a value is what a schema of the keywords used here describes."""
    if "$ref" in schema:
        return fits(value, resolve(schema["$ref"], root), root)
    assert set(schema) <= {"type", "properties", "required", "items", "enum", "oneOf", "anyOf", "minItems", "maxItems", "format", "default",
                           "description", "additionalProperties"}, schema
    for key in ("anyOf", "oneOf"):
        if key in schema and not any(fits(value, each, root) for each in schema[key]):
            return False
    kind = TYPES.get(schema.get("type"))
    if kind and (not isinstance(value, kind) or isinstance(value, bool) and kind is not bool):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        return all(fits(each, schema.get("items", {}), root) for each in value)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return set(schema.get("required", [])) <= set(value) and all(fits(each, known.get(key, {}), root) for key, each in value.items())
    return True


def resolve(ref, root):
    node = root
    for part in ref.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for each in node.values():
            yield from references(each)
    if isinstance(node, list):
        for each in node:
            yield from references(each)


@needs_half
def test_the_description_is_whole_and_true(serve, tmp_path):
    write_model(tmp_path / "m", 1, 0.5, 2)
    shutil.copytree(HALF, tmp_path / "half" / "1")
    (tmp_path / "bad" / "1").mkdir(parents=True)
    file = write_config(tmp_path / "c", *[config(name, tmp_path / name) for name in ("m", "half", "bad")], config("counter", COUNTER))
    server = serve(f"--model_config_file={file}")
    page = server.get("/openapi.json").json()
    assert page["openapi"] == "3.0.3" and {"title", "version"} <= set(page["info"])
    for ref in references(page):
        resolve(ref, page)
    for path, operations in page["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and "description" in operation["responses"]["200"]
            assert [f"{{{p['name']}}}" in path for p in operation.get("parameters", [])] == [True] * path.count("{")
    forms = lambda name, verb: [f"/v1/models/{name}{part}{verb}" for part in ("", "/versions/{version}", "/labels/{label}")]
    for path in (*forms("m", ""), *forms("m", "/metadata"), *forms("m", ":predict"), *forms("half", ":classify"), *forms("half", ":regress"),
                 *forms("bad", ""), "/healthz", "/livez", "/readyz", "/metrics", "/status.json"):
        assert path in page["paths"], path
    assert "/v1/models/m:classify" not in page["paths"] and "/v1/models/bad:predict" not in page["paths"]
    for path, body, good in (
            ("/v1/models/m:predict", {"instances": [1.5, 2]}, True),
            ("/v1/models/m:predict", {"instances": [{"x": 1}]}, True),
            ("/v1/models/m:predict", {"inputs": [1]}, True),
            ("/v1/models/m:predict", {"inputs": {"x": [1]}}, True),
            ("/v1/models/m:predict", {"instances": ["a"]}, False),
            ("/v1/models/m:predict", {"instances": []}, False),
            ("/v1/models/m:predict", {"instances": [{"z": 1}]}, False),
            ("/v1/models/m:predict", {"instances": [1], "signature_name": "other"}, False),
            ("/v1/models/m:predict", {}, False),
            ("/v1/models/half:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}, True),
            ("/v1/models/half:classify", {"examples": [{"x": 2.0}]}, False),
            ("/v1/models/half:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}], "context": {}}, True),
            ("/v1/models/half:regress", {"signature_name": "regress_x_to_y", "examples": []}, False),
            ("/v1/models/counter:predict", {"signature_name": "incr_counter_by", "inputs": 1.0}, True)):
        schema = page["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert fits(body, schema, page) == good, (path, body)
        reply = server.post(path, body)
        assert (reply.status_code == 200) == good, (path, body, reply.text)
        answer = page["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"] if good else {"$ref": "#/components/schemas/Error"}
        assert fits(reply.json(), answer, page)
    assert fits(server.get("/v1/models/m").json(), {"$ref": "#/components/schemas/Status"}, page)
    status = {model["name"]: model for model in server.get("/status.json").json()["models"]}
    for name in ("m", "half", "counter"):  # the form's first request is one that the model takes
        assert server.post(f"/v1/models/{name}:predict", status[name]["example"]).status_code == 200, status[name]["example"]


def test_uptime_begins_with_the_server(serve, tmp_path):
    server = serve("--model_name=m", f"--model_base_path={write_model(tmp_path / 'm', 1, 0.5, 2)}")
    time.sleep(0.3)
    assert 0.3 <= server.get("/status.json").json()["uptime_seconds"] < 60
