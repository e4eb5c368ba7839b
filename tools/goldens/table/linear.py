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


@golden("cholesky")
def cholesky(ins, attrs):
    return np.linalg.cholesky(ins[0])


@golden("triangular_solve")
def triangular_solve(ins, attrs):
    a = np.tril(ins[0]) if attrs.get("lower", True) else np.triu(ins[0])
    return np.linalg.solve(np.swapaxes(a, -1, -2) if attrs.get("adjoint") else a, ins[1])


@golden("matrix_solve")
def matrix_solve(ins, attrs):
    return np.linalg.solve(np.swapaxes(ins[0], -1, -2) if attrs.get("adjoint") else ins[0], ins[1])


def signs(vectors):
    """1 or -1 for each column: its element of largest magnitude (the first of equal ones) becomes positive."""
    magnitude = np.abs(vectors)
    first = np.argmax(magnitude > magnitude.max(-2, keepdims=True) * (1 - 1e-9), -2)
    return np.sign(np.take_along_axis(vectors, first[..., None, :], -2))


@golden("symmetric_eigen")
def symmetric_eigen(ins, attrs):
    values, vectors = np.linalg.eigh(ins[0], UPLO="L")
    return [values, vectors * signs(vectors) if vectors.size else vectors]


@golden("singular_values")
def singular_values(ins, attrs):
    u, s, vt = np.linalg.svd(ins[0], full_matrices=False)
    v = np.swapaxes(vt, -1, -2)
    sign = signs(v) if v.size else np.ones(v.shape[:-2] + (1, v.shape[-1]))
    return [s, u * sign, v * sign]
