"""Texts, with Python's own string methods and regular expressions."""
import base64
import re

import numpy as np

from registry import NUMPY, golden


def texts(values, shape):
    out = np.empty(len(values), object)
    out[:] = values
    return out.reshape(shape).astype(str)


@golden("string_concat")
def string_concat(ins, attrs):
    x, y = np.broadcast_arrays(*ins)
    return texts([str(a) + str(b) for a, b in zip(x.ravel(), y.ravel())], x.shape)


@golden("string_split")
def string_split(ins, attrs):
    most = attrs.get("max_splits", -1)
    rows = [str(t).split(attrs.get("delimiter") or None, most) for t in ins[0].ravel()]
    rows = [[part.rstrip() for part in row] if not attrs.get("delimiter") else row for row in rows]
    width = max((len(row) for row in rows), default=0)
    pieces = texts([part for row in rows for part in row + [""] * (width - len(row))], ins[0].shape + (width,))
    return [pieces, np.array([len(row) for row in rows], np.int64).reshape(ins[0].shape)]


@golden("regex_full_match")
def regex_full_match(ins, attrs):
    return np.array([re.fullmatch(attrs["pattern"], str(t)) is not None for t in ins[0].ravel()], bool).reshape(ins[0].shape)


@golden("string_normalize")
def string_normalize(ins, attrs):
    stop, fold = attrs.get("stop_words", []), (str if attrs.get("case_sensitive") else lambda s: str(s).lower())
    change = {"none": str, "lower": lambda s: str(s).lower(), "upper": lambda s: str(s).upper()}[attrs.get("change_case", "none")]
    left = [change(t) for t in ins[0].ravel() if fold(t) not in {fold(s) for s in stop}] or [""]
    return texts(left, ins[0].shape[:-1] + (len(left),))


@golden("to_string")
def to_string(ins, attrs):
    narrow = attrs["_dtypes"].get("in0")

    def one(v):
        if isinstance(v, np.floating):
            special = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}
            text = str(np.float32(v)) if narrow == "f32" else str(np.float64(v))
            return special.get(text, text)
        return str(v)

    return texts([one(v) for v in ins[0].ravel()], ins[0].shape)


@golden("parse_number")
def parse_number(ins, attrs):
    def one(t):
        t = str(t).strip()
        if attrs["dtype"] == "bool":
            return {"true": True, "false": False}.get(t.lower(), None) if t.lower() in ("true", "false") else float(t) != 0
        return int(t) if attrs["dtype"] == "i64" else float(t)

    kind = {"bool": bool, "i64": np.int64}.get(attrs["dtype"], np.float64)
    return np.array([one(t) for t in ins[0].ravel()], kind).reshape(ins[0].shape)


@golden("regex_replace")
def regex_replace(ins, attrs):
    pattern, rewrite = re.compile(attrs["pattern"]), re.sub(r"\\([0-9])", r"\\g<\1>", attrs["rewrite"])
    return texts([pattern.sub(rewrite, str(t), count=0 if attrs.get("all", True) else 1) for t in ins[0].ravel()], ins[0].shape)


@golden("string_case")
def string_case(ins, attrs):
    change = str.upper if attrs["to"] == "upper" else str.lower
    one = (lambda t: "".join(change(c) if ord(c) < 128 else c for c in t)) if attrs.get("ascii") else change
    return texts([one(str(t)) for t in ins[0].ravel()], ins[0].shape)


@golden("string_strip")
def string_strip(ins, attrs):
    return texts([str(t).strip(" \t\n\v\f\r") for t in ins[0].ravel()], ins[0].shape)


@golden("string_length")
def string_length(ins, attrs):
    measure = (lambda t: len(t.encode())) if attrs.get("unit", "bytes") == "bytes" else len
    return np.array([measure(str(t)) for t in ins[0].ravel()], np.int64).reshape(ins[0].shape)


@golden("string_slice")
def string_slice(ins, attrs):
    x, start, length = np.broadcast_arrays(*ins)
    out = []
    for t, s, n in zip(x.ravel(), start.ravel(), length.ravel()):
        t = str(t) if attrs.get("unit", "bytes") == "points" else str(t).encode()
        s = int(s) + (len(t) if s < 0 else 0)
        t = t[s:s + int(n)]
        out.append(t if isinstance(t, str) else t.decode())
    return texts(out, x.shape)


@golden("string_reduce_join")
def string_reduce_join(ins, attrs):
    moved = np.moveaxis(ins[0], attrs.get("axis", -1), -1)
    rows = moved.reshape(int(np.prod(moved.shape[:-1])), moved.shape[-1])
    return texts([attrs.get("separator", "").join(str(t) for t in row) for row in rows], moved.shape[:-1])


@golden("string_split_rows")
def string_split_rows(ins, attrs):
    """TensorFlow's own op."""
    import tensorflow as tf

    split = tf.raw_ops.StringSplitV2(input=ins[0], sep=attrs.get("delimiter", ""), maxsplit=attrs.get("max_splits", -1))
    counts = np.bincount(split.indices.numpy()[:, 0], minlength=len(ins[0]))
    pieces = [p.decode() for p in split.values.numpy()]
    return [texts(pieces, (len(pieces),)), np.cumsum([0, *counts]).astype(np.int64)]


@golden("string_ngrams")
def string_ngrams(ins, attrs):
    items, splits, out, ends = ins[0], ins[1], [], [0]
    for a, b in zip(splits[:-1], splits[1:]):
        row, made = [str(t) for t in items[a:b]], []
        for n in attrs["lengths"]:
            pad = n - 1 if attrs.get("pad_width", 0) < 0 else min(attrs.get("pad_width", 0), n - 1)
            padded = [attrs["left_pad"]] * pad + row + [attrs["right_pad"]] * pad
            made += [attrs["separator"].join(padded[i:i + n]) for i in range(len(padded) - n + 1)]
        if not made and row and attrs.get("preserve_short"):
            made = [attrs["separator"].join(row)]
        out += made
        ends.append(len(out))
    return [texts(out, (len(out),)), np.array(ends, np.int64)]


@golden("unicode_decode")
def unicode_decode(ins, attrs):
    points, splits, starts = [], [0], []
    for t in ins[0]:
        at = 0
        for c in str(t):
            points.append(0xfffd if attrs.get("replace_control") and ord(c) < 32 else ord(c))
            starts.append(at)
            at += len(c.encode())
        splits.append(len(points))
    return [np.array(points, np.int32), np.array(splits, np.int64), np.array(starts, np.int64)]


@golden("unicode_encode")
def unicode_encode(ins, attrs):
    def one(p):
        if 0 <= p < 0xd800 or 0xe000 <= p < 0x110000:
            return chr(p)
        return "" if attrs.get("errors") == "ignore" else "\ufffd"

    return texts(["".join(one(int(p)) for p in ins[0][a:b]) for a, b in zip(ins[1][:-1], ins[1][1:])], (len(ins[1]) - 1,))


@golden("format_number")
def format_number(ins, attrs):
    letter = {"plain": "f", "scientific": "e", "shortest": "g"}[attrs.get("style", "plain")]
    width, precision = attrs.get("width", -1), attrs.get("precision", -1)
    form = "%" + attrs.get("fill", "") + (str(width) if width >= 0 else "") + (f".{precision}" if precision >= 0 else "")

    def one(v):
        if isinstance(v, np.bool_):
            return "true" if v else "false"
        bare = form.replace("+", "") if isinstance(v, np.unsignedinteger) else form  # C's %u knows no sign
        return (bare + (letter if isinstance(v, np.floating) else "d")) % v

    return texts([one(v) for v in ins[0].ravel()], ins[0].shape)


@golden("decode_bytes")
def decode_bytes(ins, attrs):
    kind = np.dtype(NUMPY[attrs.get("dtype", "u8")]).newbyteorder("<" if attrs.get("little_endian", True) else ">")
    rows = [np.frombuffer(str(t).encode(), kind) for t in ins[0].ravel()]
    return np.array(rows).astype(kind.newbyteorder("=")).reshape(ins[0].shape + (len(rows[0]),))


@golden("encode_base64")
def encode_base64(ins, attrs):
    made = [base64.urlsafe_b64encode(str(t).encode()).decode() for t in ins[0].ravel()]
    return texts([m if attrs.get("pad") else m.rstrip("=") for m in made], ins[0].shape)


@golden("decode_base64")
def decode_base64(ins, attrs):
    return texts([base64.urlsafe_b64decode(str(t).rstrip("=") + "=" * (-len(str(t).rstrip("=")) % 4)).decode() for t in ins[0].ravel()], ins[0].shape)


@golden("string_hash")
def string_hash(ins, attrs):
    """TensorFlow's own ops."""
    import tensorflow as tf

    x, n = ins[0].astype(object), attrs["buckets"]
    if attrs.get("method", "fingerprint") == "fingerprint":
        return tf.strings.to_hash_bucket_fast(x, n).numpy()
    if attrs["method"] == "murmur":
        return tf.strings.to_hash_bucket(x, n).numpy()
    return tf.strings.to_hash_bucket_strong(x, n, attrs["key"]).numpy()
