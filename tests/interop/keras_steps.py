"""Real Keras, in a process of its own so that each backend can be asked: `python keras_steps.py MODEL OPTIMIZER DTYPE IN.npz
OUT.npz` trains ten steps (KERAS_BACKEND says on what) from the weights and on the batches of IN.npz and writes the loss per
step and the last weights. DTYPE: float32, or float64 for what exact arithmetic gives. IN.npz is made where it is missing."""
import os
import sys

import keras
import numpy as np

L = keras.layers
STEPS, BATCH = 10, 32


def make(name, dtype):
    if name == "mlp":
        layers = [keras.Input((20,), dtype=dtype), L.Dense(16, activation="relu", dtype=dtype), L.Dense(10, dtype=dtype)]
    else:
        layers = [keras.Input((12, 12, 2), dtype=dtype), L.Conv2D(4, 3, padding="same", activation="relu", dtype=dtype), L.BatchNormalization(dtype=dtype),
                  L.MaxPooling2D(dtype=dtype), L.Conv2D(8, 3, activation="relu", dtype=dtype), L.AveragePooling2D(2, dtype=dtype), L.Flatten(dtype=dtype), L.Dense(10, dtype=dtype)]
    return keras.Sequential(layers)


def main(name, optimizer, dtype, inputs, outputs):
    keras.config.set_floatx(dtype)
    keras.utils.set_random_seed(7)
    model = make(name, dtype)
    if not os.path.exists(inputs):
        r = np.random.default_rng(8)
        np.savez(inputs, x=r.normal(size=(STEPS, BATCH, *model.inputs[0].shape[1:])).astype("float32"), y=r.integers(0, 10, (STEPS, BATCH)).astype("int64"),
                 **{f"w{i}": keras.ops.convert_to_numpy(v).astype("float32") for i, v in enumerate(model.weights)})
    given = np.load(inputs)
    model.set_weights([given[f"w{i}"] for i in range(len(model.weights))])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    losses = [float(model.train_on_batch(given["x"][i].astype(dtype), given["y"][i], return_dict=True)["loss"]) for i in range(STEPS)]
    np.savez(outputs, loss=np.array(losses), **{f"w{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(model.weights)})


main(*sys.argv[1:])
