"""TensorFlow Serving's own test models over REST: the REST methods of its tensorflow_model_server_test.py."""
import json
import os
import pathlib

import pytest
from serving import Server

DATA = pathlib.Path(os.environ.get("TENON_TEST_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared"))
MODELS = DATA / "data/savedmodel/tf_serving/servables/tensorflow/testdata"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason=f"no {MODELS}")


@pytest.fixture(scope="module", params=["saved_model_half_plus_two_cpu", "saved_model_half_plus_two_tf2_cpu"])
def server(build, request):
    server = Server(build / "bin" / "tensorflow_model_server", "--model_name=default", f"--model_base_path={MODELS / request.param}")
    yield server
    server.close()


def test_predict(server):
    assert server.predict("default", [2.0, 3.0, 4.0]).json() == {"predictions": [3.0, 3.5, 4.0]}
    assert server.post("/v1/models/default:predict", {"inputs": [2.0, 3.0, 4.0]}).json() == {"outputs": [3.0, 3.5, 4.0]}


def test_classify(server):
    reply = server.post("/v1/models/default:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]})
    assert reply.json() == {"results": [[["", 3.0]]]}
    two = server.post("/v1/models/default:classify", {"signature_name": "classify_x_to_y", "context": {"x": 4.0},
                                                      "examples": [{"x": 2.0}, {}]})
    assert two.json() == {"results": [[["", 3.0]], [["", 4.0]]]}
    assert server.post("/v1/models/default:classify", {"signature_name": "none", "examples": [{"x": 2.0}]}).status_code == 400


def test_regress(server):
    reply = server.post("/v1/models/default:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}, {"x": 4.0}]})
    assert reply.text == '{\n    "results": [3.0, 4.0]\n}'
    missing = server.post("/v1/models/default:regress", {"signature_name": "regress_x_to_y"})
    assert missing.status_code == 400
    assert missing.json()["error"].endswith("When method is regress, key 'examples' is expected and was not found")


def test_status(server):
    assert server.get("/v1/models/default/versions/123").json() == {"model_version_status": [
        {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}


def test_metadata_is_the_recorded_one(build):
    server = Server(build / "bin" / "tensorflow_model_server", "--model_name=default",
                    f"--model_base_path={MODELS / 'saved_model_half_plus_two_cpu'}")
    try:
        assert server.get("/v1/models/default/metadata").json() == json.loads((MODELS / "half_plus_two_model_metadata.json").read_text())
    finally:
        server.close()


def test_good_model_config(build, tmp_path):
    text = (MODELS / "good_model_config.txt").read_text()
    text = text.replace("${TEST_HALF_PLUS_TWO_DIR}", str(MODELS / "saved_model_half_plus_two_cpu"))
    (tmp_path / "c").write_text(text.replace("${TEST_HALF_PLUS_THREE_DIR}", str(MODELS / "saved_model_half_plus_three")))
    server = Server(build / "bin" / "tensorflow_model_server", f"--model_config_file={tmp_path / 'c'}", "--enable_batching",
                    f"--batching_parameters_file={MODELS / 'batching_config.txt'}",
                    f"--monitoring_config_file={MODELS / 'monitoring_config.txt'}")
    try:
        assert server.predict("half_plus_two", [2.0]).json() == {"predictions": [3.0]}
        assert server.predict("half_plus_three", [2.0]).json() == {"predictions": [4.0]}
        assert "# TYPE" in server.get("/monitoring/prometheus/metrics").text
    finally:
        server.close()
