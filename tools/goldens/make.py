#!/usr/bin/env python3
"""Makes tests/goldens/<op>.npz: what every op must give for every sample of its record, from an outside truth.

  tools/goldens/make.py [--samples DIR | --program build/bin/op_samples] [--out tests/goldens] [--check] [OP ...]

The samples are DIR/<op>/<sample>.npz (in0, in1, ...; an absent optional input has no key; attr_<name> for a literal
attribute) beside <sample>.json
({"attrs": {...}, "dtypes": {"in0": "f32", ...}}); `op_samples DIR` writes them. The golden of an op holds
"<sample>/out0", "<sample>/out1", ... computed in float64 (integers in their own dtype) by the functions of table/. A
reader rounds them to the dtype of the output before it compares. --check writes nothing and fails when a committed file
differs or is missing. An op without a function in table/ is named in the report and makes the run fail.
Runs in the environment that `make interop` sets up (NumPy, SciPy, PyTorch pinned).
"""
import argparse
import io
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import table  # noqa: E402,F401  fills the registry
from registry import TABLE  # noqa: E402


def widen(x):
    if x.dtype.kind == "f":
        return x.astype(np.float64)
    return x.astype(np.complex128) if x.dtype.kind == "c" else x


def read_sample(path):
    with np.load(path, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    with open(path.removesuffix(".npz") + ".json", encoding="utf-8") as f:
        meta = json.load(f)
    # A literal attribute stands beside the inputs, as attr_<name>.
    literals = {key.removeprefix("attr_"): arrays.pop(key) for key in list(arrays) if key.startswith("attr_")}
    meta["attrs"] = {**meta.get("attrs", {}), **literals}
    count = 1 + max((int(key[2:]) for key in arrays), default=-1)
    return [widen(arrays[f"in{i}"]) if f"in{i}" in arrays else None for i in range(count)], meta


def store(x):
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind == "f" else x.astype(np.complex128) if x.dtype.kind == "c" else x


def compute(op, folder):
    """The golden's arrays of one op, or an error text."""
    out = {}
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".npz")):
        sample = name.removesuffix(".npz")
        ins, meta = read_sample(os.path.join(folder, name))
        try:
            with np.errstate(all="ignore"):
                result = TABLE[op](ins, {**meta.get("attrs", {}), "_dtypes": meta.get("dtypes", {})})
        except Exception as error:  # a sample that the table does not understand must name itself
            return None, f"{op}/{sample}: {type(error).__name__}: {error} (attributes {meta.get('attrs')})"
        for i, array in enumerate(result if isinstance(result, (list, tuple)) else [result]):
            if array is not None:
                out[f"{sample}/out{i}"] = store(array)
    return out, None


def same(path, arrays):
    if not os.path.exists(path):
        return False
    with np.load(path, allow_pickle=False) as old:
        if set(old.files) != set(arrays):
            return False
        for key, new in arrays.items():
            was = old[key]
            if was.dtype != new.dtype or was.shape != new.shape:
                return False
            # Another build of NumPy may differ in the last places of float64.
            if not (np.allclose(was, new, rtol=1e-12, atol=1e-300, equal_nan=True) if new.dtype.kind in "fc" else np.array_equal(was, new)):
                return False
    return True


def main():
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples")
    parser.add_argument("--program", default=os.path.join(root, "build/bin/op_samples"))
    parser.add_argument("--out", default=os.path.join(root, "tests/goldens"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("ops", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.samples or scratch
        if not args.samples:
            subprocess.run([args.program, folder], check=True)
        ops = sorted(o for o in os.listdir(folder) if not args.ops or o in args.ops)
        missing = [op for op in ops if op not in TABLE]
        bad, written = [], 0
        os.makedirs(args.out, exist_ok=True)
        for op in (o for o in ops if o in TABLE):
            arrays, error = compute(op, os.path.join(folder, op))
            if error:
                bad.append(error)
                continue
            path = os.path.join(args.out, op + ".npz")
            if same(path, arrays):
                continue
            if args.check:
                bad.append(f"{op}: {path} is missing or differs")
                continue
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)
            with open(path, "wb") as f:
                f.write(buffer.getvalue())
            written += 1
        if not args.ops:
            for stale in sorted(n for n in os.listdir(args.out) if n.endswith(".npz") and n.removesuffix(".npz") not in ops):
                bad.append(f"{stale}: no op of that name has samples: remove it")
    print("\n".join(bad))
    print(f"goldens: {len(ops)} ops, {written} files written, {len(bad)} wrong, {len(missing)} without a function"
          + (": " + " ".join(missing) if missing else ""))
    return 1 if bad or missing else 0


if __name__ == "__main__":
    sys.exit(main())
