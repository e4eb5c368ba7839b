"""Features of serialized tf.train.Example messages."""
import struct

import numpy as np

from registry import golden


def fields(data):
    """(number, type, value) of each field of a message: an int, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, kind, varint()
            continue
        size = {1: 8, 5: 4}.get(kind)
        size = varint() if size is None else size
        yield tag >> 3, kind, data[at : at + size]
        at += size


def integers(data):
    """The varints of a packed field."""
    return [value for _, _, value in fields(b"".join(b"\x08" + bytes(v) for v in split_varints(data)))]


def split_varints(data):
    one = []
    for byte in data:
        one.append(byte)
        if byte < 0x80:
            yield one
            one = []


def feature(example, key):
    """The values of the last feature of that key, or None."""
    found = None
    for _, _, features in fields(example):
        for _, _, entry in fields(features):
            parts = {number: value for number, _, value in fields(entry)}
            if parts.get(1, b"").decode() == key:
                found = parts.get(2, b"")
    values = []
    for kind, _, content in fields(found or b""):
        for _, wire, item in fields(content):
            if kind == 1:
                values.append(item.decode())
            elif kind == 2:
                values += struct.unpack(f"<{len(item) // 4}f", item)
            else:
                values += integers(item) if wire == 2 else [item]
    return values or None


@golden("parse_example")
def parse_example(ins, attrs):
    serialized, default = ins
    shape = tuple(attrs["shape"])
    rows = []
    for example in serialized.reshape(-1):
        values = feature(str(example).encode(), attrs["key"])
        rows.append(np.broadcast_to(default, shape) if values is None else np.array(values).reshape(shape))
    out = np.array(rows, dtype=default.dtype if default.dtype.kind != "U" else None)
    return out.reshape(serialized.shape + shape)


@golden("parse_example_lists")
def parse_example_lists(ins, attrs):
    values, indices, splits = [], [], [0]
    for i, example in enumerate(ins[0]):
        found = feature(str(example).encode(), attrs["key"]) or []
        values += found
        indices += [[i, k] for k in range(len(found))]
        splits.append(len(values))
    dtype = {"f32": np.float32, "i64": np.int64}.get(attrs["dtype"], str)
    return [np.array(values, dtype=dtype), np.array(indices, dtype=np.int64).reshape(-1, 2), np.array(splits, dtype=np.int64)]
