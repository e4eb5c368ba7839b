"""Elementwise ops, with NumPy's broadcasting."""
import numpy as np
from scipy import special

from registry import NUMPY, elementwise, golden, is_float


def sign(x):
    return np.where(np.isnan(x), np.nan, np.sign(x)) if x.dtype.kind == "f" else np.sign(x)


def log_sigmoid(x):
    return np.where(x < 0, x - np.log1p(np.exp(np.minimum(x, 0))), -np.log1p(np.exp(-np.maximum(x, 0))))


def softplus(x):
    return -log_sigmoid(-x)


def relu(x):
    return np.maximum(x, np.zeros((), x.dtype))


def floor_divide(x, y):
    return np.floor_divide(x, y)


def power(x, y):
    x, y = np.broadcast_arrays(x, y)
    if x.dtype.kind in "iu" and y.dtype.kind == "i" and (y < 0).any():
        # As in C: the exact rational power, truncated toward zero.
        whole = np.where(y < 0, 0, y)
        small = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0)).astype(x.dtype)
        return np.where(y < 0, small, np.power(x, whole)).astype(x.dtype)
    return np.power(x, y)


elementwise(
    neg=lambda x: np.negative(x), abs=np.abs, sign=sign, floor=np.floor, ceil=np.ceil, round=np.rint, trunc=np.trunc,
    exp=np.exp, exp2=np.exp2, expm1=np.expm1, log=np.log, log1p=np.log1p, log2=np.log2, log10=np.log10, sqrt=np.sqrt,
    rsqrt=lambda x: 1 / np.sqrt(x), cbrt=np.cbrt, square=np.square, reciprocal=lambda x: 1 / x,
    sin=np.sin, cos=np.cos, tan=np.tan, asin=np.arcsin, acos=np.arccos, atan=np.arctan,
    sinh=np.sinh, cosh=np.cosh, tanh=np.tanh, asinh=np.arcsinh, acosh=np.arccosh, atanh=np.arctanh,
    erf=special.erf, erfc=special.erfc, erf_inv=special.erfinv, lgamma=special.gammaln, digamma=special.digamma,
    sigmoid=special.expit, relu=relu, relu6=lambda x: np.clip(x, 0, 6), silu=lambda x: x * special.expit(x),
    softplus=softplus, softsign=lambda x: x / (1 + np.abs(x)), mish=lambda x: x * np.tanh(softplus(x)),
    log_sigmoid=log_sigmoid, hard_swish=lambda x: x * np.clip(x + 3, 0, 6) / 6, identity=lambda x: x, stop_gradient=lambda x: x,
    tanh_shrink=lambda x: x - np.tanh(x), squareplus=lambda x: (x + np.sqrt(x * x + 4)) / 2,
    real=np.real, imag=np.imag, conj=np.conj,
    logical_not=lambda x: np.logical_not(x), bitwise_not=lambda x: np.invert(x),
    is_nan=np.isnan, is_inf=np.isinf, is_finite=np.isfinite,
    add=np.add, subtract=np.subtract, multiply=np.multiply, divide=lambda x, y: np.divide(x, y) if is_float(x) else divide_integer(x, y),
    floor_divide=floor_divide, remainder=np.remainder, fmod=np.fmod, power=power, atan2=np.arctan2,
    maximum=np.maximum, minimum=np.minimum, squared_difference=lambda x, y: np.square(x - y),
    equal=np.equal, not_equal=np.not_equal, less=np.less, less_equal=np.less_equal, greater=np.greater, greater_equal=np.greater_equal,
    logical_and=np.logical_and, logical_or=np.logical_or, logical_xor=np.logical_xor,
    bitwise_and=np.bitwise_and, bitwise_or=np.bitwise_or, bitwise_xor=np.bitwise_xor,
    shift_left=np.left_shift, shift_right=np.right_shift,
    select=lambda condition, x, y: np.where(condition, x, y), where=lambda condition, x, y: np.where(condition, x, y),
)


def divide_integer(x, y):
    """Toward zero, as in C; 0 for a divisor 0."""
    x, y = np.broadcast_arrays(x, y)
    by_hand = [0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) for a, b in zip(x.ravel().tolist(), y.ravel().tolist())]
    return np.array(by_hand, dtype=object).astype(x.dtype).reshape(x.shape)


@golden("leaky_relu")
def leaky_relu(ins, attrs):
    return np.where(ins[0] < 0, attrs.get("negative_slope", attrs.get("alpha")) * ins[0], ins[0])


@golden("elu")
def elu(ins, attrs):
    return np.where(ins[0] > 0, ins[0], attrs["alpha"] * np.expm1(np.minimum(ins[0], 0)))


@golden("selu")
def selu(ins, attrs):
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * np.where(ins[0] > 0, ins[0], alpha * np.expm1(np.minimum(ins[0], 0)))


@golden("celu")
def celu(ins, attrs):
    return np.maximum(ins[0], 0) + np.minimum(0, attrs["alpha"] * np.expm1(np.minimum(ins[0], 0) / attrs["alpha"]))


@golden("gelu")
def gelu(ins, attrs):
    x = ins[0]
    if attrs["approximate"]:
        # tanh(u) = 2 sigmoid(2u) - 1, so that the tail keeps its digits
        return x * special.expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return x * special.ndtr(x)


@golden("hard_sigmoid")
def hard_sigmoid(ins, attrs):
    return np.clip(ins[0] * attrs.get("alpha", 1 / 6) + attrs.get("beta", 0.5), 0, 1)


@golden("hard_tanh")
def hard_tanh(ins, attrs):
    return np.clip(ins[0], -1, 1)


@golden("threshold")
def threshold(ins, attrs):
    return np.where(ins[0] > attrs["threshold"], ins[0], attrs["value"])


@golden("prelu")
def prelu(ins, attrs):
    return np.where(ins[0] < 0, ins[0] * ins[1], ins[0])


@golden("clip")
def clip(ins, attrs):
    low = ins[1] if len(ins) > 1 and ins[1] is not None else attrs.get("min", -np.inf)
    high = ins[2] if len(ins) > 2 and ins[2] is not None else attrs.get("max", np.inf)
    return np.minimum(np.maximum(ins[0], low), high).astype(ins[0].dtype)


def to_bfloat16(x):
    """Round to nearest even on the upper 16 bits of a float32 (from float64 through float32, as one rounding each)."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32)
    return np.where(np.isnan(x), np.float32(np.nan), rounded.view(np.float32)).astype(np.float64)


@golden("cast")
def cast(ins, attrs):
    """Float to integer truncates toward zero and saturates, NaN gives 0; integer to integer wraps; to bool is x != 0."""
    x, to = ins[0], attrs["dtype"]
    if to == "bool":
        return x != 0
    if x.dtype.kind == "c" and to[0] != "c":
        x = x.real
    if to == "bf16":
        return to_bfloat16(x)
    if x.dtype.kind == "f" and to[0] in "iu":
        low, high = np.iinfo(NUMPY[to]).min, np.iinfo(NUMPY[to]).max
        whole = [0 if v != v else max(low, min(high, int(v) if np.isfinite(v) else (high if v > 0 else low))) for v in x.ravel().tolist()]
        return np.array(whole, NUMPY[to]).reshape(x.shape)
    return x.astype(NUMPY[to])


@golden("cast_narrow")
def cast_narrow(ins, attrs):
    """Values of the codes: the candidates of the dtype are listed and the nearest, next or previous one is taken."""
    import ml_dtypes

    kinds = {"f8e4m3fn": "float8_e4m3fn", "f8e4m3fnuz": "float8_e4m3fnuz", "f8e5m2": "float8_e5m2",
             "f8e5m2fnuz": "float8_e5m2fnuz", "f4e2m1": "float4_e2m1fn", "f8e8m0": "float8_e8m0fnu"}
    to, saturate, rounding = attrs["dtype"], attrs["saturate"], attrs["rounding"]
    kind = np.dtype(getattr(ml_dtypes, kinds[to]))
    info = ml_dtypes.finfo(kind)
    x = np.asarray(ins[0], np.float64)
    if to == "f8e8m0":
        a = np.abs(x)
        low, high = 2.0**-127, 2.0**127
        with np.errstate(divide="ignore"):
            power = np.log2(np.where(a == 0, low, a))
        y = np.exp2(np.ceil(power) if rounding == "up" else np.floor(power) if rounding == "down" else np.round(power))
        return np.where(a < low, low if saturate else np.nan, np.where(y > high, high if saturate else np.nan, y))
    y = x.astype(kind).astype(np.float64)
    if saturate:
        y = np.where(np.isnan(x), y, np.clip(x, float(info.min), float(info.max)).astype(kind).astype(np.float64))
    return y
