"""Models with control flow, written by TensorFlow in the test, served, and compared with TensorFlow within 1e-5."""
import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

F32 = tf.float32


class WhileLoop(tf.Module):
    """Several loop variables, a variable read inside, a trip count of the input."""

    def __init__(self):
        self.w = tf.Variable(np.random.default_rng(1).normal(size=(3, 3)).astype("f") / 2, name="w")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], F32, "x")])
    def __call__(self, x):
        def step(i, h, total):
            h = tf.tanh(h @ self.w)
            return i + 1, h, total + h

        _, h, total = tf.while_loop(lambda i, h, t: i < tf.shape(x)[0] + 2, step, (0, x, tf.zeros_like(x)))
        return {"h": h, "total": total}


class DataLoop(tf.Module):
    """Stops when the data say so; a step counter is an output."""

    @tf.function(input_signature=[tf.TensorSpec([None], F32, "x")])
    def __call__(self, x):
        n, y = tf.while_loop(lambda n, y: tf.reduce_max(tf.abs(y)) > 1.0, lambda n, y: (n + 1, y * 0.5), (0, x))
        return {"n": n, "y": y}


class Cond(tf.Module):
    def __init__(self):
        self.bias = tf.Variable([0.5, -1.5], name="bias")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], F32, "x")])
    def __call__(self, x):
        y = tf.cond(tf.reduce_sum(x) > 0, lambda: x + self.bias, lambda: tf.exp(x) * self.bias)
        which = tf.cast(tf.reduce_max(tf.abs(x)), tf.int32)
        z = tf.switch_case(which, [lambda: x, lambda: -x, lambda: x * x], default=lambda: x * 100.0)
        return {"y": y, "z": z}


class State(tf.Module):
    """Branches that write a variable: each request sees the one before."""

    def __init__(self):
        self.sum = tf.Variable(0.0, name="sum")

    @tf.function(input_signature=[tf.TensorSpec([], F32, "x")])
    def __call__(self, x):
        def add():
            self.sum.assign_add(x)
            return tf.constant(1)

        def reset():
            self.sum.assign(0.0)
            return tf.constant(-1)

        kind = tf.cond(x >= 0, add, reset)
        return {"sum": self.sum.read_value(), "kind": kind}


class MapFn(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], F32, "x")])
    def __call__(self, x):
        mapped = tf.map_fn(lambda row: tf.reduce_sum(row) * row, x)
        scanned = tf.scan(lambda a, row: a * 0.5 + row, x, initializer=tf.ones([4]))
        folded = tf.foldl(lambda a, row: a + row * row, x, initializer=tf.zeros([4]))
        return {"mapped": mapped, "scanned": scanned, "folded": folded}


class Arrays(tf.Module):
    """TensorArrays of a length that the input gives: written in a loop, stacked, read back, unstacked."""

    @tf.function(input_signature=[tf.TensorSpec([None, 3], F32, "x"), tf.TensorSpec([], tf.int32, "n")])
    def __call__(self, x, n):
        rows = tf.TensorArray(F32, size=tf.shape(x)[0]).unstack(x)
        out = tf.TensorArray(F32, size=n, element_shape=[3])
        for i in tf.range(n):
            out = out.write(i, rows.read(i % tf.shape(x)[0]) * tf.cast(i, F32))
        return {"y": out.stack(), "last": out.read(n - 1)}


class Autograph(tf.Module):
    """Loops and branches inside each other, break included, as AutoGraph writes them."""

    @tf.function(input_signature=[tf.TensorSpec([None], F32, "x")])
    def __call__(self, x):
        total = 0.0
        count = 0
        for v in x:
            if v > 3.0:
                break
            if v < 0.0:
                total -= v
            else:
                k = v
                while k > 1.0:
                    k /= 2.0
                total += k
            count += 1
        return {"total": total, "count": count}


def requests_of(name, rng):
    def rows(*shape, scale=1.0):
        return (rng.normal(size=shape) * scale).astype("f")

    return {
        "WhileLoop": [{"x": rows(2, 3)}, {"x": rows(5, 3)}, {"x": rows(1, 3)}],
        "DataLoop": [{"x": rows(3, scale=40)}, {"x": rows(4) * 0.01}],
        "Cond": [{"x": rows(2, 2) + 1}, {"x": rows(2, 2) - 1}, {"x": rows(2, 2, scale=0.1)}, {"x": rows(3, 2, scale=9)}],
        "State": [{"x": np.float32(v)} for v in (1.5, 2.0, -1.0, 4.0)],
        "MapFn": [{"x": rows(3, 4)}, {"x": rows(6, 4)}],
        "Arrays": [{"x": rows(3, 3), "n": np.int32(5)}, {"x": rows(2, 3), "n": np.int32(1)}],
        "Autograph": [{"x": np.array(v, "f")} for v in ([1.0, -2.0, 2.5, 4.0, 1.0], [7.0], [0.5, 0.25])],
    }[name]


def check(server, model, want, inputs, tolerance=1e-5):
    body = {"inputs": {k: v.tolist() for k, v in inputs.items()}}
    reply = server.post(f"/v1/models/{model}:predict", json.dumps(body))
    assert reply.status_code == 200, reply.text
    outputs = reply.json()["outputs"]
    if not isinstance(outputs, dict) or set(outputs) != set(want):
        outputs = {next(iter(want)): outputs}
    for key, value in want.items():
        got = np.array(outputs[key])
        assert got.shape == value.shape, f"{key}: {got.shape}, expected {value.shape}"
        np.testing.assert_allclose(got, value, rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("kind", [WhileLoop, DataLoop, Cond, State, MapFn, Arrays, Autograph], ids=lambda k: k.__name__)
def test_tf_function(kind, serve, tmp_path):
    module = kind()
    tf.saved_model.save(module, str(tmp_path / "m/1"), signatures=module.__call__)
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    for inputs in requests_of(kind.__name__, np.random.default_rng(7)):
        want = {k: v.numpy() for k, v in module(**{k: tf.constant(v) for k, v in inputs.items()}).items()}
        check(server, "m", want, inputs)


def recurrent(layers):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((None, 5)), *layers, keras.layers.Dense(2)])


NETS = {
    "lstm": lambda: recurrent([keras.layers.LSTM(6, return_sequences=True), keras.layers.LSTM(4)]),
    "gru": lambda: recurrent([keras.layers.GRU(6, return_sequences=True), keras.layers.GRU(4, reset_after=False)]),
    "bidirectional": lambda: recurrent([keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))]),
    "masked": lambda: recurrent([keras.layers.Masking(0.0), keras.layers.GRU(4)]),
    "cell": lambda: recurrent([keras.layers.RNN(keras.layers.SimpleRNNCell(4), return_sequences=True)]),
}


@pytest.mark.parametrize("net", NETS)
def test_keras(net, serve, tmp_path):
    model = NETS[net]()
    model.export(str(tmp_path / "m/1"), verbose=False)
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    rng = np.random.default_rng(5)
    for shape in [(2, 4, 5), (1, 9, 5)]:
        x = rng.normal(size=shape).astype("f")
        if net == "masked":
            x[:, -2:] = 0.0
        check(server, "m", {"output_0": model(x).numpy()}, {input_name(server): x})


def input_name(server):
    signature = server.get("/v1/models/m/metadata").json()["metadata"]["signature_def"]["signature_def"]["serving_default"]
    return next(iter(signature["inputs"]))


class Tables(tf.Module):
    """A vocabulary in an asset file, a table in memory, and one turned round."""

    def __init__(self, vocabulary):
        lines = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                              tf.lookup.TextFileIndex.LINE_NUMBER)
        self.words = tf.lookup.StaticHashTable(lines, -1)
        self.names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([3, 5], ["three", "five"], tf.int64, tf.string), "?")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word"), tf.TensorSpec([None], tf.int64, "number")])
    def __call__(self, word, number):
        return {"place": self.words.lookup(word), "name": self.names.lookup(number), "count": self.words.size()}


def test_tables(serve, tmp_path):
    (tmp_path / "words.txt").write_text("ada\nb\u00f6b\nzoe\n", encoding="utf-8")
    module = Tables(tmp_path / "words.txt")
    tf.saved_model.save(module, str(tmp_path / "m/1"), signatures=module.__call__)
    (tmp_path / "words.txt").unlink()
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    body = {"inputs": {"word": ["zoe", "nobody", "b\u00f6b", "", "ada"], "number": [5, 4, 3]}}
    reply = server.post("/v1/models/m:predict", body)
    assert reply.json() == {"outputs": {"place": [2, -1, 1, -1, 0], "name": ["five", "?", "three"], "count": 3}}, reply.text


class Growing(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], F32, "x")])
    def __call__(self, x):
        out = tf.TensorArray(F32, size=0, dynamic_size=True)
        for i in tf.range(tf.shape(x)[0]):
            out = out.write(i, x[i] * 2.0)
        return {"y": out.stack()}


def test_a_list_that_grows(serve, tmp_path):
    module = Growing()
    tf.saved_model.save(module, str(tmp_path / "m/1"), signatures=module.__call__)
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    for values in ([1.5, -2.0, 3.25], [4.0], [0.5] * 40):
        reply = server.post("/v1/models/m:predict", {"inputs": values})
        assert reply.json() == {"outputs": module(tf.constant(values))["y"].numpy().tolist()}, reply.text


class Changing(tf.Module):
    """A table that the graph writes while it serves."""

    def __init__(self):
        super().__init__()
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, default_value=-1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
    def __call__(self, word):
        self.table.insert(word, tf.range(tf.size(word, tf.int64)))
        return {"size": self.table.size()}


def test_what_cannot_be_translated_is_refused_by_name(program, tmp_path):
    """Such a version never serves, and its state says why."""
    import time

    from serving import Server

    module = Changing()
    tf.saved_model.save(module, str(tmp_path / "m/1"), signatures=module.__call__)
    server = Server(program, "--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0", ready=False)
    try:
        end = time.monotonic() + 30
        state = {}
        while state.get("state") != "END" and time.monotonic() < end:
            time.sleep(0.1)
            try:
                state = server.get("/v1/models/m").json()["model_version_status"][0]
            except (OSError, KeyError):
                continue
        assert state["state"] == "END" and state["status"]["error_code"] == "UNIMPLEMENTED", state
        assert "LookupTableInsertV2: a table that changes while the model runs" in state["status"]["error_message"], state
    finally:
        server.close()
