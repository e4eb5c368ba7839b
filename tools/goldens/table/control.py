"""Control flow and sequences: the functions that the sub-graphs of the samples stand for, written as Python loops."""
import numpy as np

from registry import golden


def product_and_sine(x, y):
    return [x * y, np.sin(x)]


def sum_and_second(x, y):
    return [x + y * y, y]


@golden("cond")
def cond(ins, attrs):
    predicate, x, y = ins
    return product_and_sine(x, y) if predicate else sum_and_second(x, y)


@golden("call")
def call(ins, attrs):
    return product_and_sine(*ins) if "sin(" in attrs["body"] else sum_and_second(*ins)


@golden("while_loop")
def while_loop(ins, attrs):
    """i counts down; x becomes sin(x) * y, or itself twice where there is no y."""
    i, x, trips = int(ins[0]), ins[1], 0
    while i > 0:
        i, x, trips = i - 1, np.concatenate([x, x]) if len(ins) == 2 else np.sin(x) * ins[2], trips + 1
    return [np.int64(i), x, np.int64(trips)]


@golden("scan")
def scan(ins, attrs):
    if len(ins) == 1 and attrs["scanned"] == 1:  # squares of the rows
        return ins[0] ** 2
    if len(ins) == 1:  # one value squared again and again
        return ins[0] ** (2 ** attrs["length"][0])
    carry, xs, w = ins
    products, places = np.zeros_like(xs), np.zeros(len(xs), np.int64)
    for step in range(len(xs)):
        row = len(xs) - 1 - step if attrs["reverse"] else step
        carry = np.tanh(carry * w + xs[row])
        products[row], places[row] = carry * xs[row], np.argmax(carry)
    return [carry, products, places]


@golden("sequence_construct", "sequence_empty", "sequence_at", "sequence_length", "sequence_insert", "sequence_erase",
        "sequence_concat", "sequence_split", "optional_some", "optional_none", "optional_has_value", "optional_value")
def sequence(ins, attrs):
    """A golden holds tensors; none of these samples gives one."""
    return []
