"""ONNX Runtime: a model file from its name to a session, the first of the process: ort_import.py MODEL. Time and private
memory."""
import os
import sys
import time

import clock

clock.pin()
import onnxruntime  # noqa: E402


def anonymous_mb():
    with open("/proc/self/status", encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("RssAnon:"))


def main():
    path = sys.argv[1]
    stem = os.path.splitext(os.path.basename(path))[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    before, start = anonymous_mb(), time.perf_counter()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    seconds = time.perf_counter() - start
    print(f'{{"peer": "onnxruntime", "name": "{stem}_import_mb", "threads": 1, "mb": {anonymous_mb() - before:.1f}}}')
    clock.report("onnxruntime", f"{stem}_import", seconds * 1e6, inputs=len(session.get_inputs()))


main()
