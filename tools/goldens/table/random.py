"""Random ops: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in plain NumPy."""
import numpy as np

from registry import NUMPY, golden

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
MASK = np.uint64(0xFFFFFFFF)


def philox(counters, key):
    """uint32[n,4] from counters uint32[n,4] and a key of two uint32."""
    c = [counters[:, i].astype(np.uint64) for i in range(4)]
    k = [np.uint64(key[0]), np.uint64(key[1])]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(MULTIPLIERS[0]), c[2] * np.uint64(MULTIPLIERS[1])
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ k[0], p1 & MASK, (p0 >> np.uint64(32)) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + np.uint64(WEYL[0])) & MASK, (k[1] + np.uint64(WEYL[1])) & MASK]
    return np.stack(c, axis=1).astype(np.uint32)


def self_check():
    """The known answers of the authors' test vectors."""
    zero = philox(np.zeros((1, 4), np.uint32), (0, 0))[0]
    ones = philox(np.full((1, 4), 0xFFFFFFFF, np.uint32), (0xFFFFFFFF, 0xFFFFFFFF))[0]
    pi = philox(np.array([[0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]], np.uint32), (0xA4093822, 0x299F31D0))[0]
    assert [hex(v) for v in zero] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"], zero
    assert [hex(v) for v in ones] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"], ones
    assert [hex(v) for v in pi] == ["0xd16cfe09", "0x94fdcceb", "0x5001e420", "0x24126ea1"], pi


self_check()


def words(state, count):
    """One 32-bit word an element: word i % 4 of the block with the counter {i / 4, state[1]} under the key state[0]."""
    seed, counter = (int(v) for v in state)
    blocks = -(-count // 4)
    counters = np.zeros((blocks, 4), np.uint32)
    counters[:, 0] = np.arange(blocks)
    counters[:, 2:] = counter & 0xFFFFFFFF, counter >> 32
    return philox(counters, (seed & 0xFFFFFFFF, seed >> 32)).ravel()[:count]


def unit(word, bits=24):
    """In [0, 1), from the upper bits of the words."""
    return (word >> np.uint32(32 - bits)).astype(np.float64) / 2.0**bits


def count_of(dims):
    return int(np.prod(dims, dtype=np.int64))


@golden("random_uniform")
def random_uniform(ins, attrs):
    bits = {"f16": 11, "bf16": 8}.get(attrs["dtype"], 24)
    u = unit(words(ins[0], count_of(attrs["dims"])), bits).reshape(attrs["dims"])
    return attrs["low"] + (attrs["high"] - attrs["low"]) * u


@golden("random_normal")
def random_normal(ins, attrs):
    """Box-Muller on pairs of words: cosine for the first, sine for the second."""
    count = count_of(attrs["dims"])
    pairs = unit(words(ins[0], count + count % 2)).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log(pairs[:, 0] + 2.0**-24)), 2 * np.pi * pairs[:, 1]
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]
    return attrs["mean"] + attrs["stddev"] * z.reshape(attrs["dims"])


def kept(state, dims, probability):
    return (unit(words(state, count_of(dims))) < probability).reshape(dims)


@golden("random_bernoulli")
def random_bernoulli(ins, attrs):
    hit = kept(ins[0], attrs["dims"], attrs["probability"])
    return hit if attrs["dtype"] == "bool" else hit.astype(np.float64 if attrs["dtype"] in ("f32", "f64", "f16", "bf16") else NUMPY[attrs["dtype"]])


@golden("dropout")
def dropout(ins, attrs):
    keep = 1 - attrs["rate"]
    return np.where(kept(ins[1], ins[0].shape, keep), ins[0] / keep, 0)


@golden("stateless_key")
def stateless_key(ins, attrs):
    """TensorFlow's own op."""
    import tensorflow as tf

    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=ins[0])
    return [key.numpy(), counter.numpy()]


@golden("stateless_random")
def stateless_random(ins, attrs):
    """TensorFlow's own ops. Normal numbers of f32, which its library rounds here and there, are made from its bits and
    must agree with it to 1e-5."""
    import tensorflow as tf

    kind, dtype = attrs.get("kind", "uniform"), NUMPY[attrs.get("dtype", "f32")]

    def draw(kind, counter, dims, dtype):
        op = {"uniform": tf.raw_ops.StatelessRandomUniformV2, "normal": tf.raw_ops.StatelessRandomNormalV2,
              "truncated_normal": tf.raw_ops.StatelessTruncatedNormalV2, "bits": tf.raw_ops.StatelessRandomUniformFullIntV2}[kind]
        return op(shape=np.array(dims, np.int64), key=ins[0], counter=counter, alg=1, dtype=dtype).numpy()

    theirs = draw(kind, ins[1], attrs["dims"], dtype)
    if dtype != np.float32 or "normal" not in kind or not theirs.size:
        return theirs

    def pairs(counter, count):
        words = draw("bits", counter, [2 * count], np.uint32)
        unit = ((words & 0x7fffff) | 0x3f800000).view(np.float32) - np.float32(1)
        angle = (2 * np.pi * unit[1::2].astype(np.float64)).astype(np.float32).astype(np.float64)
        radius = np.sqrt(-2 * np.log(np.maximum(unit[::2], np.float32(1e-7)).astype(np.float64)))
        return np.stack([np.sin(angle) * radius, np.cos(angle) * radius], 1).ravel()

    if kind == "normal":
        ours = pairs(ins[1], (theirs.size + 1) // 2)
    else:
        groups = []
        for g in range((theirs.size + 3) // 4):
            made = pairs(ins[1] + np.array([256 * g, 0], np.uint64), 64)
            groups.append(made[np.abs(made) < 2][:4])
        ours = np.concatenate(groups)
    ours = ours[:theirs.size].reshape(theirs.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    return ours
