"""What every peer program shares: one core, the same data, the median of many steps, one JSON line."""
import json
import os
import sys
import time


def pin(threads=1):
    """Call before the framework is imported: one thread on one core (the last the process may use)."""
    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"


def digits(model, rows):
    """Seeded stand-ins for digits: images f32 in 0..1 (mlp [n,784], cnn [n,28,28,1]) and labels 0..9."""
    import numpy as np
    random = np.random.default_rng(0)
    shape = (784,) if model == "mlp" else (28, 28, 1)
    return random.random((rows, *shape), np.float32), random.integers(0, 10, rows)


def median_us(step, count, warm):
    """Median microseconds of step(i), i < count, without the first `warm`."""
    times = []
    for i in range(count):
        start = time.perf_counter()
        step(i)
        times.append(time.perf_counter() - start)
    times = sorted(times[warm:])
    return times[len(times) // 2] * 1e6


def report(peer, name, us, threads=1, **more):
    print(json.dumps({"peer": peer, "name": name, "threads": threads, "us": round(us, 2), **more}))
    sys.stdout.flush()
