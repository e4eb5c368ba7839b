"""tf.Example features of every form and kind, in a model written by TensorFlow: Classify, Regress and Predict equal it."""
import base64

import numpy as np
import pytest
from grpc_client import ModelServer

tf = pytest.importorskip("tensorflow")
from tensorflow_serving.apis import classification_pb2, regression_pb2  # noqa: E402

v1 = tf.compat.v1
KINDS = {"x": "float_list", "w": "float_list", "pairs": "float_list", "n": "int64_list", "counts": "int64_list",
         "name": "bytes_list", "tags": "bytes_list"}
EXAMPLES = [
    {"x": [1.5, 2.0], "n": [7], "name": [b"ada"], "tags": [b"a", b"bb", b"a"], "w": [0.5, 0.25], "counts": [3, 4], "pairs": [1, 2, 3, 4]},
    {},
    {"x": [-1.0, 0.5], "w": [8.0], "counts": [5], "tags": [b""], "pairs": [0.5, -0.5]},
    {"n": [-2], "name": [b"\xff\x00"], "counts": [1, 2, 3, 4]},
]


def encode(features):
    example = tf.train.Example()
    for key, values in features.items():
        getattr(example.features.feature[key], KINDS[key]).value.extend(values)
    return example


def graph(serialized):
    """The tensors of the model; every form of feature goes into a score."""
    parsed = tf.io.parse_example(serialized, {
        "x": tf.io.FixedLenFeature([2], tf.float32, [0.5, -1.0]),
        "n": tf.io.FixedLenFeature([1], tf.int64, [3]),
        "name": tf.io.FixedLenFeature([], tf.string, "nobody"),
        "tags": tf.io.VarLenFeature(tf.string),
        "w": tf.io.VarLenFeature(tf.float32),
        "counts": tf.io.RaggedFeature(tf.int64),
        "pairs": tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True, default_value=0.125),
    })
    w = tf.reduce_sum(tf.sparse.to_dense(parsed["w"], default_value=0.0), axis=1)
    counts = parsed["counts"].to_tensor(default_value=0)
    x = tf.reduce_sum(parsed["x"] * [[2.0, 3.0]], axis=1)
    pairs = tf.reduce_sum(parsed["pairs"], axis=[1, 2])
    scores = tf.stack([x + w, tf.cast(tf.reduce_sum(counts, axis=1), tf.float32) + pairs, tf.cast(parsed["n"][:, 0], tf.float32)], axis=1)
    classes = tf.broadcast_to(tf.constant(["first", "second", "third"]), tf.shape(scores))
    more = {"tags": tf.sparse.to_dense(parsed["tags"], default_value="-"), "name": parsed["name"], "counts": counts,
            "pairs": parsed["pairs"], "splits": parsed["counts"].row_splits, "shape": parsed["w"].dense_shape,
            "indices": parsed["w"].indices}
    return scores, classes, more


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder, and TensorFlow's answers for EXAMPLES."""
    base = tmp_path_factory.mktemp("examples") / "m"
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], "tf_example")
        scores, classes, more = graph(serialized)
        build = v1.saved_model.signature_def_utils
        info = v1.saved_model.build_tensor_info
        signatures = {
            "serving_default": build.classification_signature_def(serialized, classes, scores),
            "regress": build.regression_signature_def(serialized, scores[:, 0]),
            "features": build.build_signature_def({"examples": info(serialized)}, {k: info(v) for k, v in more.items()},
                                                  "tensorflow/serving/predict")}
        builder = v1.saved_model.Builder(str(base / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
        feed = {serialized: [encode(e).SerializeToString() for e in EXAMPLES]}
        want = session.run({"scores": scores, "classes": classes, **more}, feed)
    return base, want


@pytest.fixture(scope="module")
def server(build, model):
    with ModelServer(build, "--model_name=m", f"--model_base_path={model[0]}") as running:
        yield running


def test_classify(server, model):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "m"
    request.input.example_list.examples.extend(encode(e) for e in EXAMPLES)
    reply = server.predict.Classify(request, 10)
    got = [[(c.label, c.score) for c in one.classes] for one in reply.result.classifications]
    assert [[label.encode() for label, _ in row] for row in got] == model[1]["classes"].tolist()
    np.testing.assert_allclose([[score for _, score in row] for row in got], model[1]["scores"], rtol=1e-6)


def test_regress_with_a_context(server, model):
    """The context's features are those of every example; the example's own come first."""
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "regress"
    request.input.example_list_with_context.context.CopyFrom(encode({"w": [100.0]}))
    request.input.example_list_with_context.examples.extend(encode(e) for e in EXAMPLES)
    values = [r.value for r in server.predict.Regress(request, 10).result.regressions]
    own = [sum(e.get("w", [100.0])) - sum(e.get("w", [])) for e in EXAMPLES]
    np.testing.assert_allclose(values, model[1]["scores"][:, 0] + own, rtol=1e-6)


def json_example(features):
    out = {}
    for key, values in features.items():
        if KINDS[key] == "bytes_list":
            out[key] = [{"b64": base64.b64encode(v).decode()} for v in values]
        else:
            out[key] = [float(v) for v in values] if KINDS[key] == "float_list" else values
    return out


def test_rest(server, model):
    import requests

    url = f"http://127.0.0.1:{server.rest}/v1/models/m"
    reply = requests.post(url + ":classify", json={"examples": [json_example(e) for e in EXAMPLES]}, timeout=10)
    got = reply.json()["results"]
    np.testing.assert_allclose([[score for _, score in row] for row in got], model[1]["scores"], rtol=1e-6)
    wrong = requests.post(url + ":classify", json={"examples": [{"w": 3}]}, timeout=10)  # an integer
    assert wrong.status_code == 400 and "Data types don't match" in wrong.json()["error"], wrong.text
    odd = requests.post(url + ":classify", json={"examples": [{"pairs": [1.0, 2.0, 3.0]}]}, timeout=10)
    assert odd.status_code == 400 and "not a multiple of stride" in odd.json()["error"], odd.text


def test_every_feature(server, model):
    from tensorflow.python.framework import tensor_util
    from tensorflow_serving.apis import predict_pb2

    for examples in (EXAMPLES, EXAMPLES[1:2]):  # also where every list is empty
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "m", "features"
        request.inputs["examples"].CopyFrom(tensor_util.make_tensor_proto([encode(e).SerializeToString() for e in examples]))
        outputs = server.predict.Predict(request, 10).outputs
        if examples is EXAMPLES:
            want = {k: v for k, v in model[1].items() if k not in ("scores", "classes")}
        else:
            want = {"tags": np.empty((1, 0), object), "name": np.array([b"nobody"], object), "counts": np.empty((1, 0), np.int64),
                    "pairs": np.empty((1, 0, 2), "f"), "splits": np.array([0, 0]), "shape": np.array([1, 0]),
                    "indices": np.empty((0, 2), np.int64)}
        for key, value in want.items():
            got = tensor_util.MakeNdarray(outputs[key])
            assert got.shape == value.shape, key
            assert (got == value).all(), key
