"""Tables, trees, sets of values, matrices, seeded draws and images, by NumPy."""
import numpy as np

from registry import golden


@golden("lookup_values")
def lookup_values(ins, attrs):
    x, keys, values, otherwise = ins
    out = []
    for element in x.ravel():
        same = np.isnan(keys) if isinstance(element, np.floating) and np.isnan(element) else keys == element
        at = np.flatnonzero(same)
        out.append(values[at[0]] if len(at) else otherwise.ravel()[0])
    kind = str if values.dtype.kind == "U" else values.dtype
    return np.array(out, kind).reshape(x.shape)


@golden("count_ngrams")
def count_ngrams(ins, attrs):
    x, pool = ins
    starts = list(attrs["starts"]) + [len(pool)]
    grams = [tuple(pool[at:at + n]) for n in range(1, len(starts)) for at in range(starts[n - 1], starts[n], n)]
    width = max(attrs["columns"]) + 1
    rows = []
    for row in x.reshape(-1, x.shape[-1]) if x.ndim == 2 else [x.ravel()]:
        out = np.zeros(width)
        for gram, column in zip(grams, attrs["columns"]):
            n = len(gram)
            if not attrs["shortest"] <= n <= attrs["longest"]:
                continue
            for skip in range(1 if n == 1 else attrs["skips"] + 1):
                for first in range(len(row) - (n - 1) * (skip + 1)):
                    out[column] += tuple(row[first:first + (n - 1) * (skip + 1) + 1:skip + 1]) == gram
        rows.append(out)
    out = np.array(rows) if x.ndim == 2 else rows[0]
    weights = np.array(attrs.get("weights") or [1.0] * width)[:width]
    return {"tf": out, "idf": (out > 0) * weights, "tfidf": out * weights}[attrs.get("mode", "tf")]


@golden("tree_ensemble")
def tree_ensemble(ins, attrs):
    a, out = attrs, []
    compare = [np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal]
    for row in ins[0]:
        given = [[] for _ in range(a["targets"])]
        for at in a["roots"]:
            while at >= 0:
                v, split = row[a["features"][at]], a["splits"][at]
                if a["modes"][at] == 6:
                    first = int(split) + 1
                    yes = v in a["members"][first:first + int(a["members"][int(split)])]
                else:
                    yes = compare[a["modes"][at]](v, split)
                if np.isnan(v) and a.get("missing_true") and a["missing_true"][at]:
                    yes = True
                at = a["on_true"][at] if yes else a["on_false"][at]
            for k in range(a["leaf_starts"][-1 - at], a["leaf_starts"][-at]):
                given[a["leaf_targets"][k]].append(a["leaf_weights"][k])
        how = {"sum": sum, "average": lambda v: sum(v) / len(a["roots"]), "min": min, "max": max}[a["aggregate"]]
        out.append([how(v) if v else 0.0 for v in given])
    return np.array(out, np.float64).reshape(len(ins[0]), a["targets"])


@golden("unique")
def unique(ins, attrs):
    axis = attrs.get("axis")
    values, first, inverse, counts = np.unique(ins[0], return_index=True, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.ravel()
    if not attrs.get("sorted", True):
        order = np.argsort(first)
        values = np.take(values, order, axis=axis or 0)
        first, counts = first[order], counts[order]
        inverse = np.argsort(order)[inverse]
    return [values] + [np.asarray(v, np.int64) for v in (first, inverse, counts)]


@golden("determinant")
def determinant(ins, attrs):
    return np.linalg.det(ins[0])


@golden("matrix_inverse")
def matrix_inverse(ins, attrs):
    return np.linalg.inv(ins[0])


@golden("seeded_uniform")
def seeded_uniform(ins, attrs):
    return np.random.RandomState(attrs["seed"]).uniform(size=attrs["dims"])


@golden("seeded_normal")
def seeded_normal(ins, attrs):
    return np.asarray(np.random.RandomState(attrs["seed"]).standard_normal(size=attrs["dims"]))


@golden("decode_image")
def decode_image(ins, attrs):
    words = " ".join(line.split("#")[0] for line in ins[0].tobytes().decode().split("\n")).split()
    width, height = int(words[1]), int(words[2])
    if words[0] == "P1":
        bits = np.array([255 * (b == "0") for b in "".join(words[3:])]).reshape(height, width, 1)
        rgb = np.repeat(bits, 3, axis=2)
    else:
        rgb = np.array([int(w) for w in words[4:]]).reshape(height, width, 3)
    channels = attrs.get("channels", "rgb")
    if channels == "gray":
        rgb = np.floor((rgb @ np.array([19595, 38470, 7471]) + 32768) / 65536)[..., None]
    return (rgb[..., ::-1] if channels == "bgr" else rgb).astype(np.uint8)
