"""Models that the real TensorFlow saves while the test runs: both backends give what TensorFlow gives."""
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
L = keras.layers
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def texts(*values):
    return np.array(values, object)


def module(function, variable=None, **inputs):
    """A tf.Module whose signature takes tensors like `inputs`, with open dims."""
    made = tf.Module()
    made.variable = None if variable is None else tf.Variable(variable.astype("float32"))
    specs = [tf.TensorSpec([None] * np.ndim(v), tf.string if np.asarray(v).dtype == object else np.asarray(v).dtype, name=k)
             for k, v in inputs.items()]
    made.call = tf.function(lambda *args: function(made, *args), input_signature=specs)
    return made, inputs


@case
def text_classifier():
    vectorize = L.TextVectorization(max_tokens=50, output_sequence_length=8)
    vectorize.adapt(["the cat sat on the mat", "a dog ate my homework!", "Hello, world"])
    x = L.Input((1,), dtype="string", name="text")
    y = L.LSTM(5)(L.Embedding(50, 6, mask_zero=True)(vectorize(x)))
    return keras.Model(x, L.Dense(2, activation="softmax")(y)), {"text": np.array([["the cat ate"], ["hello HELLO dog, mat!"]], object)}


@case
def tabular_features():
    age, city = L.Input((1,), name="age"), L.Input((1,), dtype="string", name="city")
    y = L.Concatenate()([L.CategoryEncoding(5, "one_hot")(L.Discretization([18.0, 30.0, 50.0, 65.0])(age)),
                         L.StringLookup(vocabulary=["paris", "rome"], output_mode="one_hot")(city),
                         L.Normalization(mean=40.0, variance=100.0)(age), L.CategoryEncoding(8, "one_hot")(L.Hashing(8)(city))])
    return keras.Model([age, city], L.Dense(1)(y)), {"age": np.array([[20], [70]], "float32"), "city": np.array([["rome"], ["oslo"]], object)}


@case
def masked_recurrence():
    x = L.Input((None, 4), name="x")
    y = L.GRU(3)(L.Bidirectional(L.LSTM(5, return_sequences=True))(L.Masking()(x)))
    value = np.random.default_rng(1).normal(size=(2, 7, 4)).astype("float32")
    value[1, 4:] = 0
    return keras.Model(x, y), {"x": value}


@case
def growing_array():
    def call(_, x):
        array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        _, array = tf.while_loop(lambda i, _: i < tf.shape(x)[0], lambda i, a: (i + 1, a.write(i, x[i] * tf.reduce_sum(x[i]))), (0, array))
        return {"y": array.stack()}

    return module(call, x=np.arange(12, dtype="float32").reshape(4, 3))


@case
def joined_array():
    def call(_, x):
        array = tf.TensorArray(tf.float32, size=tf.shape(x)[0], element_shape=(None, 3))
        _, array = tf.while_loop(lambda i, _: i < tf.shape(x)[0], lambda i, a: (i + 1, a.write(i, x[i] + 1)), (0, array))
        return {"y": array.concat(), "last": array.read(tf.shape(x)[0] - 1)}

    return module(call, x=np.arange(24, dtype="float32").reshape(4, 2, 3))


@case
def mapped_texts():
    return module(lambda _, s: {"y": tf.map_fn(lambda t: tf.strings.upper(t) + "!", s),
                                "n": tf.map_fn(tf.strings.length, s, fn_output_signature=tf.int32)}, s=texts("ab", "c", ""))


@case
def growing_sequence():
    def call(made, start):
        step = lambda s: (tf.concat([s, tf.argmax(tf.gather(made.variable, s[:, -1]), -1, output_type=tf.int32)[:, None]], 1),)
        return {"y": tf.while_loop(lambda s: tf.shape(s)[1] < 5, step, (start[:, None],), shape_invariants=(tf.TensorShape([None, None]),))[0]}

    return module(call, np.random.default_rng(2).normal(size=(6, 6)), start=np.array([0, 3], "int32"))


@case
def sparse_embedding():
    def call(made, s):
        ids = tf.strings.to_hash_bucket_fast(tf.strings.split(s), 20)
        rows = tf.nn.embedding_lookup(made.variable, ids)
        return {"mean": tf.reduce_mean(rows, 1), "max": tf.reduce_max(rows, 1),
                "safe": tf.nn.safe_embedding_lookup_sparse(made.variable, ids.to_sparse(), combiner="sqrtn")}

    return module(call, np.random.default_rng(3).normal(size=(20, 4)), s=texts("a b c", "", "d", "e e"))


@case
def sparse_ops():
    def call(_, x):
        s = tf.sparse.reorder(tf.sparse.from_dense(x))
        filled, empty = tf.sparse.fill_empty_rows(s, 9.0)
        turned = tf.SparseTensor(s.indices[:, ::-1], s.values, s.dense_shape[::-1])
        flipped = tf.sparse.reorder(turned)
        mixed = tf.raw_ops.SparseFillEmptyRows(indices=[[2, 1], [0, 0], [2, 0]], values=x[0, :3] + 5, dense_shape=[4, 2], default_value=9.0)
        return {"filled": tf.sparse.to_dense(filled), "empty": empty, "mixed": mixed.output_indices, "mixed_values": mixed.output_values, "reshaped": tf.sparse.to_dense(tf.sparse.reshape(s, [-1, 2])),
                "part": tf.sparse.to_dense(tf.sparse.slice(s, [1, 0], [2, 2])), "flipped": tf.sparse.to_dense(flipped),
                "product": tf.sparse.sparse_dense_matmul(s, x, adjoint_b=True), "turned": tf.sparse.sparse_dense_matmul(s, x, adjoint_a=True)}

    return module(call, x=np.array([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0]], "float32"))


@case
def text_ops():
    def call(_, s):
        rows = tf.strings.split(s, ",")
        return {"lower": tf.strings.lower(s, "utf-8"), "ascii": tf.strings.upper(s), "chars": tf.strings.unicode_split(s, "UTF-8").to_tensor(""),
                "points": tf.strings.unicode_decode(s, "UTF-8").to_tensor(-1), "grams": tf.strings.ngrams(rows, [1, 2], "_").to_tensor("-"),
                "padded": tf.strings.ngrams(rows, 3, "_", ("<", ">"), 2).to_tensor("-"), "part": tf.strings.substr(s, -2, 2, unit="UTF8_CHAR"),
                "base": tf.io.decode_base64(tf.io.encode_base64(s)), "first": tf.strings.regex_replace(s, "[a-z]", "<\\0>", replace_global=False),
                "text": tf.strings.as_string(tf.strings.to_hash_bucket(s, 97)), "joined": tf.strings.reduce_join(rows.to_tensor("?"), [1, 0], separator="/"),
                "bytes": tf.io.decode_raw(tf.strings.substr(s, 0, 3), tf.uint8), "old": tf.compat.v1.strings.split(s, ",").values}

    return module(call, s=texts("StraßE,NÉ", "a,b,,c", "xyz,x"))


@case
def ordered():
    return module(lambda _, x, k: {"sorted": tf.sort(x, 1), "order": tf.argsort(x, 1, "DESCENDING"), "top": tf.math.top_k(x, k[0]).values,
                                   "where": tf.searchsorted(tf.sort(x, 1), x), "seen": tf.unique(tf.reshape(tf.cast(x, tf.int32), [-1])).y},
                  x=np.array([[3, 1, 2, 1.5], [0.5, 9, 1, 4]], "float32"), k=np.array([2], "int32"))


@case
def segments():
    return module(lambda _, x, i: {"max": tf.math.segment_max(x, i), "mean": tf.math.segment_mean(x, i), "prod": tf.math.segment_prod(x, i),
                                   "least": tf.math.unsorted_segment_min(x, i - 1, 4), "sum": tf.math.unsorted_segment_sum(x, i - 1, 4),
                                   "sparse": tf.sparse.segment_sqrt_n(x, [1, 0, 2], [0, 0, 2]), "bins": tf.math.bincount(i, x[:, 0], dtype=tf.float32),
                                   "parts": tf.dynamic_stitch([[2, 0], [1]], tf.dynamic_partition(x[:3], [0, 1, 0], 2))},
                  x=np.arange(10, dtype="float32").reshape(5, 2) - 3, i=np.array([0, 0, 1, 3, 3], "int32"))


@case
def signals():
    def call(_, given):
        x = tf.reshape(given, [-1, 40])  # transforms are of a length that is known
        return {"stft": tf.abs(tf.signal.stft(x, 16, 8, 16)), "back": tf.signal.irfft(tf.signal.rfft(x[:, :20], [20])),
                "angle": tf.math.angle(tf.signal.fft(tf.cast(x[:, :5], tf.complex64)))[:, 1:],
                "ifft": tf.math.real(tf.signal.ifft(tf.complex(x[:, :5], x[:, 5:10])))}

    return module(call, given=np.random.default_rng(4).normal(size=(2, 40)).astype("float32"))


@case
def endless_numbers():
    def call(_, z, re, im):
        whole = tf.complex(re, im)
        return {"re": tf.math.real(z), "im": tf.math.imag(z), "size": tf.abs(z), "angle": tf.math.angle(z), "other": tf.math.imag(tf.math.conj(z)),
                "whole": whole, "most": tf.abs(whole), "low": tf.cast(tf.math.unsorted_segment_max(tf.cast(re, tf.bfloat16), [1] * 4, 2), tf.float32)}

    inf, nan = np.inf, np.nan
    return module(call, z=np.array([complex(inf, 2), complex(1, inf), complex(inf, -inf), complex(nan, 1), complex(0, nan), complex(3, -4)], "complex64"),
                  re=np.array([1, inf, 0, -2], "float32"), im=np.array([inf, 1, nan, -inf], "float32"))


@case
def scattered_list():
    def call(_, x, at, count):
        made = tf.raw_ops.TensorListScatterV2(tensor=x, indices=at, element_shape=tf.zeros([0], tf.int32), num_elements=count[0])
        more = tf.raw_ops.TensorListScatterIntoExistingList(input_handle=made, tensor=-x, indices=at - 1)
        stack = lambda v: tf.raw_ops.TensorListStack(input_handle=v, element_shape=tf.zeros([0], tf.int32), element_dtype=tf.float32)
        return {"length": tf.raw_ops.TensorListLength(input_handle=made), "items": stack(made), "more": stack(more)}

    return module(call, x=np.array([1, 2], "float32"), at=np.array([1, 3], "int32"), count=np.array([7], "int32"))


@case
def images():
    def call(_, x):
        return {"nearest": tf.image.resize(x, (5, 9), "nearest"), "cubic": tf.image.resize(x, (9, 5), "bicubic"), "linear": tf.image.resize(x, (3, 11)),
                "corners": tf.compat.v1.image.resize_bilinear(x, (9, 5), align_corners=True), "old": tf.compat.v1.image.resize_bicubic(x, (4, 4)),
                "smooth": tf.image.resize(x, (3, 4), antialias=True), "wave": tf.image.resize(x, (4, 9), "lanczos3", antialias=True),
                "mitchell": tf.image.resize(x, (4, 9), "mitchellcubic"), "gauss": tf.image.resize(x, (4, 5), "gaussian", antialias=True),
                "crops": tf.image.crop_and_resize(x, [[0.1, 0.2, 1.2, 0.7]], [0], (3, 4), extrapolation_value=-1.0)}

    return module(call, x=np.random.default_rng(5).uniform(size=(1, 6, 7, 2)).astype("float32"))


@case
def image_files():
    def call(_, files):
        read = lambda f: tf.image.resize(tf.io.decode_jpeg(f, channels=3), (8, 8)) / 255.0
        exact = lambda f: tf.image.resize(tf.io.decode_jpeg(f, channels=1, dct_method="INTEGER_ACCURATE"), (8, 8)) / 255.0
        return {"rgb": tf.map_fn(read, files, fn_output_signature=tf.float32), "gray": tf.map_fn(exact, files[:1], fn_output_signature=tf.float32)}

    waves = (np.add.outer(np.arange(40), np.arange(50))[..., None] * [1, 2, 1] % 256).astype("uint8")
    made = [tf.io.encode_jpeg(waves, quality=95).numpy(), tf.io.encode_png(waves[:9, :7]).numpy()]
    return module(call, files=texts(*made))


@case
def recurrence_of_lengths():
    def call(made, x, n):
        lines = tf.TensorArray(tf.float32, size=tf.shape(x)[1]).unstack(tf.transpose(x, (1, 0, 2)))

        def step(t, h, out):
            new = tf.tanh(tf.concat([lines.read(t), h], 1) @ made.variable)
            h = tf.cond(t < tf.reduce_min(n), lambda: new, lambda: tf.where(tf.broadcast_to((t >= n)[:, None], tf.shape(h)), h, new))
            return t + 1, h, out.write(t, h)

        first = (0, tf.zeros((tf.shape(x)[0], 4)), tf.TensorArray(tf.float32, size=tf.shape(x)[1]))
        _, last, out = tf.while_loop(lambda t, *_: t < tf.shape(x)[1], step, first)
        return {"last": last, "all": tf.transpose(out.stack(), (1, 0, 2))}

    rng = np.random.default_rng(7)
    return module(call, rng.normal(size=(7, 4)), x=rng.normal(size=(2, 5, 3)).astype("float32"), n=np.array([5, 3], "int32"))


@case
def algebra():
    def call(_, x):
        s = x @ tf.transpose(x, [0, 2, 1]) + tf.eye(3)
        u, v = tf.linalg.svd(x)[1:]
        values, vectors = tf.linalg.eigh(s)
        return {"solve": tf.linalg.solve(s, x), "again": (u * tf.linalg.svd(x)[0][:, None]) @ tf.transpose(v, [0, 2, 1]), "values": values,
                "same": vectors @ tf.linalg.diag(values) @ tf.transpose(vectors, [0, 2, 1]), "diag": tf.linalg.diag_part(s), "set": tf.linalg.set_diag(s, x[:, 0]),
                "above": tf.linalg.diag(x[:, 0], k=1), "low": tf.linalg.triangular_solve(tf.linalg.cholesky(s), x, adjoint=True)}

    return module(call, x=np.random.default_rng(6).normal(size=(2, 3, 3)).astype("float32"))


@case
def drawn():
    return module(lambda _, seed: {"uniform": tf.random.stateless_uniform([5], seed, -1.0, 2.0), "wide": tf.random.stateless_uniform([3], seed, dtype=tf.float64),
                                   "normal": tf.random.stateless_normal([2, 3], seed), "cut": tf.random.stateless_truncated_normal([9], seed),
                                   "whole": tf.random.stateless_uniform([6], seed, 5, 1000, tf.int64)}, seed=np.array([3, -4], "int32"))


@case
def quantized():
    return module(lambda _, x: {"fake": tf.quantization.fake_quant_with_min_max_vars(x, -1.0, 3.0, 8, True), "both": tf.quantization.quantize_and_dequantize_v2(x, -2.0, 2.0, range_given=True),
                                "own": tf.quantization.quantize_and_dequantize_v2(x, 0.0, 0.0), "back": tf.quantization.dequantize(*tf.quantization.quantize(x, -2.0, 2.0, tf.qint8)),
                                "none": tf.math.xlogy(x, tf.abs(x))}, x=np.linspace(-3, 3, 11, dtype="float32"))


@pytest.mark.parametrize("name", CASES)
def test_gives_what_tensorflow_gives(name, tenon, tmp_path):
    made, inputs = CASES[name]()
    folder = str(tmp_path / "model")
    if isinstance(made, keras.Model):
        made.export(folder, verbose=False)
    else:
        tf.saved_model.save(made, folder, signatures=made.call.get_concrete_function())
    wanted = tf.saved_model.load(folder).signatures["serving_default"](**{k: tf.constant(v) for k, v in inputs.items()})
    encoded = lambda v: [t if isinstance(t, bytes) else t.encode("utf-8") for t in v.ravel()]
    np.savez(tmp_path / "in.npz", **{k: np.array(encoded(v)).reshape(v.shape) if v.dtype == object else v for k, v in inputs.items()})
    for backend in ("ref", "cpu"):
        tenon("run", folder, "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz", "--backend", backend)
        got = np.load(tmp_path / "out.npz")
        assert sorted(got.files) == sorted(wanted)
        for key, value in wanted.items():
            value = np.asarray(value.numpy(), object if value.dtype == tf.string else None)
            if value.dtype == object:
                value = np.vectorize(lambda b: b.decode("utf-8"), otypes=[str])(value)
                found = got[key] if got[key].dtype.kind == "U" else np.char.decode(got[key], "utf-8")
                assert found.shape == value.shape and (found == value).all(), (backend, key, found, value)
            else:
                assert got[key].dtype == value.dtype, (backend, key)
                np.testing.assert_allclose(got[key], value, rtol=1e-4, atol=2e-5, err_msg=f"{backend} {key}")
