#!/usr/bin/env python3
"""Prints what Keras 3 gives for the models of tests/keras_fit_test.cc: names and values of compiled metrics, the order
and the arguments of hooks. Runs in the environment that `make interop` sets up (KERAS_BACKEND=jax starts fastest)."""
import os

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras  # noqa: E402
import numpy as np  # noqa: E402

X = np.array([[1, 2], [3, -1], [0, 1], [-2, 1], [2, 2]], "float32") / 2
CLASSES = np.array([0, 1, 2, 1, 0])
WEIGHTS = np.array([1, 2, 0.5, 0, 3], "float32")
TARGETS = np.array([[1], [0], [2], [-1], [0.5]], "float32")


def show(title, values):
    print(f"{title}: " + ", ".join(f'{{"{k}", {float(v):.9g}}}' for k, v in sorted(values.items())))


def classifier(**compiled):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    model.set_weights([np.array([[1, -1, 0.5], [0.25, 0.5, -0.5]], "float32"), np.array([0, 0.1, 0.2], "float32")])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", **compiled)
    return model


def two_outputs(**compiled):
    x = keras.Input((2,), name="x")
    model = keras.Model(x, [keras.layers.Dense(1, name="a")(x), keras.layers.Dense(1, name="b")(x)])
    model.set_weights([np.array(w, "float32") for w in ([[1], [2]], [0.5], [[-1], [1]], [0])])
    model.compile(optimizer="sgd", loss="mse", **compiled)
    return model


class Order(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __getattribute__(self, name):
        short = {"on_train_batch_begin": "b", "on_train_batch_end": "e", "on_test_batch_begin": "tb", "on_test_batch_end": "te",
                 "on_predict_batch_begin": "pb", "on_predict_batch_end": "pe", "on_epoch_begin": "E", "on_epoch_end": "/E"}
        begin = {"on_train_begin": "T", "on_train_end": "/T", "on_test_begin": "V", "on_test_end": "/V",
                 "on_predict_begin": "P", "on_predict_end": "/P"}
        if name in short:
            return lambda i, logs=None: self.seen.append(f"{short[name]}{i}")
        if name in begin:
            return lambda logs=None: self.seen.append(begin[name])
        return super().__getattribute__(name)


both = {"metrics": ["accuracy"], "weighted_metrics": ["accuracy", "sparse_categorical_crossentropy"]}
show("evaluate, weights", classifier(**both).evaluate(X, CLASSES, sample_weight=WEIGHTS, batch_size=2, verbose=0, return_dict=True))
show("evaluate, none", classifier(**both).evaluate(X, CLASSES, batch_size=2, verbose=0, return_dict=True))
many = {"metrics": {"a": ["mae", "mae"]}, "weighted_metrics": {"a": ["mae", "mae", "mse"], "b": ["mae"]}}
show("two outputs", two_outputs(**many).evaluate(X, [TARGETS, TARGETS], sample_weight=[WEIGHTS, WEIGHTS], batch_size=2, verbose=0, return_dict=True))
history = classifier(**both).fit(X, CLASSES, class_weight={0: 2.0, 2: 0.5}, batch_size=2, epochs=2, shuffle=False, verbose=0).history
show("class weights, epoch 2", {k: v[1] for k, v in history.items()})
history = classifier(**both).fit(X, CLASSES, sample_weight=WEIGHTS, validation_data=(X, CLASSES, WEIGHTS[::-1].copy()), batch_size=2, shuffle=False, verbose=0).history
show("weighted validation", {k: v[0] for k, v in history.items()})
history = classifier().fit(X, CLASSES, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0).history
print("steps without a batch size:", ["%.9g" % v for v in history["loss"]])
history = classifier().fit(X, CLASSES, validation_data=(X, CLASSES), validation_freq=[2, 3], epochs=3, verbose=0).history
print("validation_freq [2, 3] of 3 epochs:", len(history["val_loss"]), "values")
for steps in (1, 2):
    order = Order()
    model = classifier(steps_per_execution=steps)
    model.fit(X, CLASSES, batch_size=1, epochs=1, validation_split=0.2, shuffle=False, verbose=0, callbacks=[order])
    model.predict(X, batch_size=2, steps=2, verbose=0, callbacks=[order])
    print(f"hooks, steps_per_execution {steps}:", " ".join(order.seen))
print("predict, steps 2 of 3:", classifier().predict(X, batch_size=2, steps=2, verbose=0).shape)
