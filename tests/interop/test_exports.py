"""Models that real Keras exports go through us and come back to the real frameworks with the same numbers."""
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

L = keras.layers


def mlp():
    return keras.Sequential([keras.Input((20,), name="x"), L.Dense(16, activation="relu"), L.Dropout(0.3), L.Dense(10, activation="softmax")])


def cnn():
    return keras.Sequential([keras.Input((12, 12, 2), name="x"), L.Conv2D(4, 3, padding="same"), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(), L.Conv2D(8, 3, activation="relu"),
                             L.AveragePooling2D(2, padding="same"), L.GlobalAveragePooling2D(), L.Dense(5)])


def two_inputs():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = L.Dense(4, activation="tanh")
    joined = L.Concatenate()([shared(a), shared(b), L.Add()([a, b])])
    return keras.Model([a, b], [L.Dense(3, name="first")(joined), L.Dense(1, activation="sigmoid", name="second")(joined)])


def embedding():
    return keras.Sequential([keras.Input((7,), name="x", dtype="int32"), L.Embedding(11, 5), L.Flatten(), L.Reshape((5, 7)), L.Flatten(), L.Dense(4)])


def values(model, rows, seed):
    r = np.random.default_rng(seed)
    out = {}
    for t in model.inputs:
        shape = (rows, *t.shape[1:])
        out[t.name] = r.integers(0, 11, shape).astype("int32") if "int" in t.dtype else r.normal(size=shape).astype("float32")
    return out


def expected(model, x):
    y = model([x[t.name] for t in model.inputs] if len(model.inputs) > 1 else x[model.inputs[0].name], training=False)
    return [np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])]


@pytest.mark.parametrize("make", [mlp, cnn, two_inputs, embedding])
def test_keras_through_us(make, tenon, tmp_path):
    keras.utils.set_random_seed(3)
    model = make()
    for v in model.variables:  # statistics away from their start
        if "moving" in v.path:
            v.assign(np.random.default_rng(1).uniform(0.5, 1.5, v.shape).astype("float32"))
    model.export(tmp_path / "keras", verbose=False)
    for rows, seed in ((1, 1), (5, 2)):
        x = values(model, rows, seed)
        want = expected(model, x)
        np.savez(tmp_path / "in.npz", **x)
        # Ours, from the SavedModel of the real Keras.
        tenon("run", tmp_path / "keras", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
        got = np.load(tmp_path / "out.npz")
        order = sorted(got.files)
        assert len(order) == len(want)
        for name, w in zip(order, want):
            np.testing.assert_allclose(got[name], w, rtol=1e-5, atol=1e-5)
        # To ONNX, run by the real ONNX Runtime.
        tenon("convert", tmp_path / "keras", tmp_path / "m.onnx")
        onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
        session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
        names = [o.name for o in session.get_outputs()]
        result = dict(zip(names, session.run(None, {i.name: x[i.name] for i in session.get_inputs()})))
        for name, w in zip(sorted(result), want):
            np.testing.assert_allclose(result[name], w, rtol=1e-5, atol=1e-5)
        # And back to a SavedModel, run by the real TensorFlow.
        tenon("convert", tmp_path / "m.onnx", tmp_path / f"back{rows}", "--to", "saved_model")
        f = tf.saved_model.load(str(tmp_path / f"back{rows}")).signatures["serving_default"]
        result = f(**{k: tf.constant(v) for k, v in x.items()})
        for name, w in zip(sorted(result), want):
            np.testing.assert_allclose(result[name].numpy(), w, rtol=1e-5, atol=1e-5)


def test_our_savedmodel_goes_on_training(tenon, tmp_path):
    """The variables of our SavedModel are TensorFlow's to train."""
    keras.utils.set_random_seed(4)
    model = mlp()
    model.export(tmp_path / "keras", verbose=False)
    tenon("convert", tmp_path / "keras", tmp_path / "ours", "--to", "saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "ours"))
    f = loaded.signatures["serving_default"]
    variables = f.trainable_variables
    assert len(variables) == 4
    r = np.random.default_rng(5)
    x, y = tf.constant(r.normal(size=(64, 20)), tf.float32), tf.constant(r.integers(0, 10, 64))
    losses = []
    for _ in range(20):
        with tf.GradientTape() as tape:
            p = list(f(x=x).values())[0]
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, p))
        for v, g in zip(variables, tape.gradient(loss, variables)):
            v.assign_sub(0.5 * g)
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]
    # TensorFlow saves what it trained; we read it.
    tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=loaded.signatures)
    np.savez(tmp_path / "in.npz", x=x.numpy())
    tenon("run", tmp_path / "again", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    got = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(got[got.files[0]], list(f(x=x).values())[0].numpy(), rtol=1e-5, atol=1e-6)


def test_sessions_run_our_savedmodel(tenon, tmp_path):
    """The TF1 loader, which TensorFlow Serving shares, restores the variables too."""
    model = cnn()
    model.export(tmp_path / "keras", verbose=False)
    tenon("convert", tmp_path / "keras", tmp_path / "ours", "--to", "saved_model")
    x = values(model, 3, 6)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "ours"))
        signature = meta.signature_def["serving_default"]
        got = session.run([t.name for t in signature.outputs.values()], {signature.inputs[k].name: v for k, v in x.items()})
    np.testing.assert_allclose(got[0], expected(model, x)[0], rtol=1e-5, atol=1e-5)
