"""Products."""
import numpy as np

from registry import golden


@golden("matmul")
def matmul(ins, attrs):
    turn = lambda x, yes: np.swapaxes(x, -1, -2) if yes and x.ndim > 1 else x
    return np.matmul(turn(ins[0], attrs["transpose_x"]), turn(ins[1], attrs["transpose_y"]))


@golden("dot_general")
def dot_general(ins, attrs):
    """Batch axes first, then the free axes of the left, then those of the right."""
    a, b = ins[:2]
    lb, rb, lc, rc = (list(attrs[n]) for n in ("lhs_batch", "rhs_batch", "lhs_contract", "rhs_contract"))
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in range(a.ndim)]
    right = [None] * b.ndim
    for i, j in [*zip(lb, rb), *zip(lc, rc)]:
        right[j % b.ndim] = left[i % a.ndim]
    right = [r or next(letters) for r in right]
    out = [left[i % a.ndim] for i in lb] + [c for i, c in enumerate(left) if i not in [k % a.ndim for k in lb + lc]]
    out += [c for j, c in enumerate(right) if j not in [k % b.ndim for k in rb + rc]]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


@golden("einsum")
def einsum(ins, attrs):
    return np.einsum(attrs["equation"], *ins)
