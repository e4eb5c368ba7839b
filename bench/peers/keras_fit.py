"""Keras on TensorFlow: one step inside `fit`, with the accuracy metric and without shuffling. keras_fit.py mlp | cnn"""
import os
import sys
import time

import clock

clock.pin()
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras  # noqa: E402
from keras import layers  # noqa: E402


def main():
    model = sys.argv[1]
    batch, rows = (32, 64000) if model == "mlp" else (64, 3200)
    x, y = clock.digits(model, rows)
    body = [layers.Dense(128, activation="relu"), layers.Dense(10)] if model == "mlp" else [
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(10)]
    net = keras.Sequential([keras.Input(x.shape[1:]), *body])
    net.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    net.fit(x[:batch * 10], y[:batch * 10], batch_size=batch, verbose=0, shuffle=False)
    times, loss = [], None
    for _ in range(3):
        start = time.perf_counter()
        loss = net.fit(x, y, batch_size=batch, verbose=0, shuffle=False).history["loss"][-1]
        times.append((time.perf_counter() - start) / (rows // batch) * 1e6)
    clock.report("keras_tf", f"{model}_fit_step", sorted(times)[1], loss=loss)


main()
