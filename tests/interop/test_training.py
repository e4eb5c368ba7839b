"""Ten steps from the same weights on the same batches: the real Keras's losses and ours."""
import keras
import numpy as np
import pytest

L = keras.layers


def make(name):
    if name == "mlp":
        return keras.Sequential([keras.Input((20,)), L.Dense(16, activation="relu"), L.Dense(10)])
    return keras.Sequential([keras.Input((12, 12, 2)), L.Conv2D(4, 3, padding="same", activation="relu"), L.BatchNormalization(), L.MaxPooling2D(), L.Conv2D(8, 3, activation="relu"),
                             L.AveragePooling2D(2), L.Flatten(), L.Dense(10)])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_ten_steps(name, optimizer, tenon, tmp_path):
    keras.utils.set_random_seed(7)
    model = make(name)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    r = np.random.default_rng(8)
    x = r.normal(size=(10, 32, *model.inputs[0].shape[1:])).astype("float32")
    y = r.integers(0, 10, (10, 32)).astype("int64")
    np.savez(tmp_path / "in.npz", x=x, y=y, **{f"w{i}": np.asarray(v) for i, v in enumerate(model.weights)})
    tenon(name, optimizer, tmp_path / "in.npz", tmp_path / "out.npz", program="interop_train")
    ours = np.load(tmp_path / "out.npz")
    losses = [model.train_on_batch(x[i], y[i], return_dict=True)["loss"] for i in range(10)]
    # Batch statistics cost float32 a little more: Keras itself in float64 is up to 1.1e-6 away from both.
    np.testing.assert_allclose(ours["loss"], losses, rtol=1e-6 if name == "mlp" else 2e-6)
    for i, v in enumerate(model.weights):
        np.testing.assert_allclose(ours[f"w{i}"], np.asarray(v), rtol=1e-4, atol=1e-5)
