"""The rows of TensorFlow Serving's own black-box tests that export their models with TensorFlow, asked as they ask."""
import pytest
import requests
from grpc_client import ModelServer, check_predict, predict_request

tf = pytest.importorskip("tensorflow")
SCALAR = [tf.TensorSpec(None, tf.float32)]  # any rank


def test_a_function_with_captured_variables(build, tmp_path):
    root = tf.train.Checkpoint()
    root.v1, root.v2 = tf.Variable(3.0), tf.Variable(2.0)
    root.f = tf.function(lambda x: {"y": root.v1 * root.v2 * x})
    tf.saved_model.save(root, str(tmp_path / "m" / "00000123"), root.f.get_concrete_function(*SCALAR))
    with ModelServer(build, "--model_name=default", f"--model_base_path={tmp_path / 'm'}") as server:
        check_predict(server, predict_request(), 12.0)


def test_several_signatures(build, tmp_path):
    root = tf.train.Checkpoint()
    root.f = tf.function(lambda x: {"y": 1.0}, input_signature=SCALAR)
    root.g = tf.function(lambda x: {"y": 2.0}, input_signature=SCALAR)
    tf.saved_model.save(root, str(tmp_path / "m" / "00000123"), {"serving_default": root.f, "custom_signature_key": root.g})
    with ModelServer(build, "--model_name=default", f"--model_base_path={tmp_path / 'm'}") as server:
        check_predict(server, predict_request(), 1.0)
        custom = predict_request()
        custom.model_spec.signature_name = "custom_signature_key"
        check_predict(server, custom, 2.0, signature="custom_signature_key")


def test_sequential_keras(build, tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Input(dtype="float32", shape=(1,), name="x"), tf.keras.layers.Lambda(lambda x: x, name="y")])
    tf.saved_model.save(model, str(tmp_path / "m" / "00000123"))
    with ModelServer(build, "--model_name=default", f"--model_base_path={tmp_path / 'm'}") as server:
        metadata = requests.get(f"http://127.0.0.1:{server.rest}/v1/models/default/metadata", timeout=10).json()
        (name,) = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
        reply = server.predict.Predict(predict_request(key=name, shape=(1, 1)), 10)
        assert [list(tensor.float_val) for tensor in reply.outputs.values()] == [[2.0]]
        assert reply.model_spec.version.value == 123
