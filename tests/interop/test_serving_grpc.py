"""The server's gRPC side with the real client of TensorFlow Serving: its own black-box tests, and what it decodes."""
import time

import grpc
import numpy as np
import pytest
import requests
from google.protobuf import wrappers_pb2  # noqa: F401  used by the generated messages
from grpc_client import MODELS, TF1, TF2, TWO, ModelServer, check_predict, example_input, failure, predict_request
from serving import metric
from tensorflow.python.framework import tensor_util
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, model_management_pb2,
                                     predict_pb2, regression_pb2)

pytestmark = pytest.mark.skipif(not MODELS.exists(), reason="the models of TensorFlow Serving's tests are not here (TENON_TEST_DATA)")


@pytest.fixture(scope="module", params=["tf1", "tf2"])
def server(request, build):
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1 if request.param == 'tf1' else TF2}") as one:
        one.kind = request.param
        yield one


def test_get_model_status(server):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "default"
    reply = server.models.GetModelStatus(request, 10)
    assert len(reply.model_version_status) == 1
    status = reply.model_version_status[0]
    assert (status.version, status.state, status.status.error_code) == (123, 30, 0)
    request.model_spec.name = "none"
    assert failure(server.models.GetModelStatus, request) == ("NOT_FOUND", "Could not find any versions of model none")


def test_get_model_metadata(server):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "default"
    request.metadata_field.append("signature_def")
    reply = server.predict.GetModelMetadata(request, 10)
    assert reply.model_spec.name == "default" and reply.model_spec.version.value == 123
    assert list(reply.metadata) == ["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(signatures)
    from tensorflow.core.protobuf import saved_model_pb2
    theirs = saved_model_pb2.SavedModel()
    theirs.ParseFromString(next((TF1 if server.kind == "tf1" else TF2).glob("*/saved_model.pb")).read_bytes())
    for name, signature in theirs.meta_graphs[0].signature_def.items():
        if not signature.inputs and name.startswith("__"):
            continue
        assert signatures.signature_def[name] == signature, name


def test_classify(server):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "default"
    request.model_spec.signature_name = "classify_x_to_y"
    example_input(request)
    reply = server.predict.Classify(request, 10)
    assert len(reply.result.classifications) == 1 and len(reply.result.classifications[0].classes) == 1
    assert reply.result.classifications[0].classes[0].score == 3.0
    assert (reply.model_spec.name, reply.model_spec.signature_name, reply.model_spec.version.value) == ("default", "classify_x_to_y", 123)


def test_regress(server):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "default"
    request.model_spec.signature_name = "regress_x_to_y"
    example_input(request, count=3)
    reply = server.predict.Regress(request, 10)
    assert [r.value for r in reply.result.regressions] == [3.0, 3.0, 3.0]
    assert (reply.model_spec.name, reply.model_spec.signature_name, reply.model_spec.version.value) == ("default", "regress_x_to_y", 123)


def test_missing_and_wrong_features(server):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "default"
    request.model_spec.signature_name = "regress_x_to_y"
    example_input(request, name="other")
    code, text = failure(server.predict.Regress, request)
    assert code == "INVALID_ARGUMENT" and "is required but could not be found" in text
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "default"
    request.model_spec.signature_name = "regress_x_to_y"
    assert failure(server.predict.Regress, request) == ("INVALID_ARGUMENT", "Input is empty.")


def test_multi_inference(server):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in (("regress_x_to_y", "tensorflow/serving/regress"), ("classify_x_to_y", "tensorflow/serving/classify")):
        task = request.tasks.add()
        task.model_spec.name = "default"
        task.model_spec.signature_name = signature
        task.method_name = method
    example_input(request)
    reply = server.predict.MultiInference(request, 10)
    assert len(reply.results) == 2
    assert reply.results[0].regression_result.regressions[0].value == 3.0
    assert reply.results[1].classification_result.classifications[0].classes[0].score == 3.0
    for result, signature in zip(reply.results, ("regress_x_to_y", "classify_x_to_y")):
        assert (result.model_spec.name, result.model_spec.signature_name, result.model_spec.version.value) == ("default", signature, 123)
    page = requests.get(f"http://127.0.0.1:{server.rest}/metrics", timeout=10).text
    assert metric(page, ":tensorflow:serving:request_example_count_total", model="default") == 1
    assert metric(page, ":tensorflow:serving:request_example_counts_count", model="default") == 1
    assert metric(page, ":tensorflow:serving:runtime_latency_count", model_name="default", API="MultiInference") == 2


def test_predict(server):
    shape = (1, 1) if server.kind == "tf1" else (1,)
    check_predict(server, predict_request(shape=shape), 3.0)
    check_predict(server, predict_request(shape=shape, filter_=["y"]), 3.0)


def test_predict_errors(server):
    shape = (1, 1) if server.kind == "tf1" else (1,)
    call = server.predict.Predict
    assert failure(call, predict_pb2.PredictRequest()) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    assert failure(call, predict_request(model="m")) == ("NOT_FOUND", "Servable not found for request: Latest(m)")
    assert failure(call, predict_request(version=5)) == ("NOT_FOUND", "Servable not found for request: Specific(default, 5)")
    assert failure(call, predict_request(label="l")) == ("INVALID_ARGUMENT", "Unrecognized servable version label: l")
    assert failure(call, predict_request(signature="s")) == ("FAILED_PRECONDITION", 'Serving signature key "s" not found.')
    assert failure(call, predict_request(key="z", shape=shape))[0] == "INVALID_ARGUMENT"
    assert failure(call, predict_request(filter_=["q"], shape=shape))[0] == "INVALID_ARGUMENT"
    request = predict_request(shape=shape)
    request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto(["text"]))
    assert failure(call, request) == ("INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided")
    # The graph takes any shape, whatever the signature declares.
    reply = call(predict_request(shape=(2, 3, 4)), 30)
    assert (tensor_util.MakeNdarray(reply.outputs["y"]) == np.full((2, 3, 4), 3, "f")).all()


def test_unknown_methods_are_unimplemented(server):
    for name in ("/tensorflow.serving.PredictionService/PredictStreamed", "/a.b/C"):
        with pytest.raises(grpc.RpcError) as info:
            server.channel.unary_unary(name)(b"", timeout=10)
        assert info.value.code() == grpc.StatusCode.UNIMPLEMENTED


def config_text(*models):
    return "model_config_list: {\n" + "".join(
        f'  config: {{ name: "{name}", base_path: "{path}", model_platform: "tensorflow" }}\n' for name, path in models) + "}\n"


def test_good_model_config(build, tmp_path):
    file = tmp_path / "models.txt"
    file.write_text(config_text(("half_plus_two", TF1), ("half_plus_three", MODELS / "saved_model_half_plus_three")))
    with ModelServer(build, f"--model_config_file={file}") as server:
        check_predict(server, predict_request("half_plus_two", shape=(1, 1)), 3.0)
        check_predict(server, predict_request("half_plus_three"), 4.0)


def test_versions_and_labels(build, tmp_path):
    file = tmp_path / "models.txt"
    file.write_text(f'model_config_list {{ config {{ name: "m" base_path: "{TWO}" model_platform: "tensorflow" '
                    'model_version_policy { all {} } version_labels { key: "stable" value: 123 } } }')
    with ModelServer(build, f"--model_config_file={file}", "--allow_version_labels_for_unavailable_models=true") as server:
        check_predict(server, predict_request("m", shape=(1, 1)), 3.0, version=124)
        check_predict(server, predict_request("m", version=123, shape=(1, 1)), 3.0, version=123)
        check_predict(server, predict_request("m", label="stable", shape=(1, 1)), 3.0, version=123)


def test_reload_by_rpc(build):
    with ModelServer(build, "--model_name=default", f"--model_base_path={TF1}") as server:
        request = model_management_pb2.ReloadConfigRequest()
        for name, path in (("default", TF1), ("three", MODELS / "saved_model_half_plus_three")):
            config = request.config.model_config_list.config.add()
            config.name, config.base_path, config.model_platform = name, str(path), "tensorflow"
        request.metric_names.append("/tensorflow/serving/request_count")
        reply = server.models.HandleReloadConfigRequest(request, 60)
        assert reply.status.error_code == 0
        assert reply.metric[0].name == "/tensorflow/serving/request_count"
        check_predict(server, predict_request("three"), 4.0)
        assert failure(server.models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())[0] == "INVALID_ARGUMENT"
        request.config.model_config_list.config[1].base_path = "relative"
        assert failure(server.models.HandleReloadConfigRequest, request)[0] == "INVALID_ARGUMENT"
        check_predict(server, predict_request("three"), 4.0)


def test_model_config_reload_by_poll(build, tmp_path):
    file = tmp_path / "models.txt"
    file.write_text(config_text(("half_plus_two", TF1)))
    with ModelServer(build, f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1") as server:
        check_predict(server, predict_request("half_plus_two", shape=(1, 1)), 3.0)
        file.write_text(config_text(("half_plus_three", MODELS / "saved_model_half_plus_three")))
        end = time.monotonic() + 10
        while True:
            try:
                check_predict(server, predict_request("half_plus_three"), 4.0)
                break
            except grpc.RpcError:
                assert time.monotonic() < end
                time.sleep(0.1)


def test_counter_keeps_its_state(build):
    with ModelServer(build, "--model_name=counter", f"--model_base_path={MODELS / 'saved_model_counter'}") as server:
        def ask(signature, delta=None):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "counter"
            request.model_spec.signature_name = signature
            if delta is not None:
                request.inputs["delta"].CopyFrom(tensor_util.make_tensor_proto(delta, dtype=np.float32))
            return tensor_util.MakeNdarray(server.predict.Predict(request, 10).outputs["output"]).item()

        assert ask("get_counter") == 0.0
        assert ask("incr_counter") == 1.0
        assert ask("incr_counter_by", 3.0) == 4.0
        assert ask("get_counter") == 4.0
        assert ask("reset_counter") == 0.0
        assert ask("get_counter") == 0.0


def test_tensor_content_requests(server):
    values = np.arange(6, dtype="f").reshape(6, 1) if server.kind == "tf1" else np.array([4.0], "f")
    request = predict_request()
    request.inputs["x"].CopyFrom(tensor_util.make_tensor_proto(values))
    assert request.inputs["x"].tensor_content or values.size == 1
    reply = server.predict.Predict(request, 10)
    np.testing.assert_array_equal(tensor_util.MakeNdarray(reply.outputs["y"]), values / 2 + 2)
