"""The table of goldens: one Python function an op, written from the op's documented meaning with NumPy and PyTorch,
without a look at the engine's own code. A function takes the inputs (a list; an absent optional input is None; floats
are float64, complex numbers complex128, integers keep their dtype) and the complete attributes, and returns an array or
a list of arrays. `golden` names the ops that a function computes."""
import numpy as np

TABLE = {}
NUMPY = {"bool": np.bool_, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16,
         "u32": np.uint32, "u64": np.uint64, "f16": np.float16, "f32": np.float32, "f64": np.float64, "c64": np.complex64, "c128": np.complex128}


def golden(*names):
    def keep(function):
        for name in names:
            assert name not in TABLE, name
            TABLE[name] = function
        return function
    return keep


def elementwise(**functions):
    """Ops of array arguments only: name = function."""
    for name, function in functions.items():
        assert name not in TABLE, name
        TABLE[name] = lambda ins, attrs, f=function: f(*ins)


def axes_of(axes, rank):
    """The axes as a tuple of 0..rank-1; none given means all."""
    return tuple(a % rank for a in axes) if axes else tuple(range(rank))


def is_float(x):
    return np.issubdtype(x.dtype, np.inexact)
