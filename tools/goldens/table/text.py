"""Texts, with Python's own string methods and regular expressions."""
import re

import numpy as np

from registry import golden


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
