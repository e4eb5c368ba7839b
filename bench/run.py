#!/usr/bin/env python3
"""Our figures beside the peers', on the same work, in the same run, on one core each.

  bench/run.py --python .venv/bin/python [--build build] [--rounds 3] [--quick] [--only-peers | --no-peers] [--out out/bench.json]

Our side is BUILD/bin/tenon_bench: `tenon_bench --threads 1 [--quick] [NAME ...]` prints one JSON row a line for each case,
{"name": "mlp_sgd_step", "threads": 1, "us": 61.2}. The peers are the programs of bench/peers, one process each, which
print {"peer": "jax", "name": "mlp_sgd_step", "threads": 1, "us": 208.4}. Rounds interleave ours with the peers', so that
a slow minute of the machine hits both; a figure is the median over the rounds of the medians inside the processes.
Every case of GOALS becomes a row {name, threads, ours, unit, peer, peer_value, ratio, goal, ok} of the JSON file;
ok says ratio <= goal. A case that nobody measured is a row with "ok": null and the reason. The exit status is 1 when a
goal is missed or a program fails; --quick (CI: one round, short) reports missed goals but does not fail on them, because
a shared machine is no place for a verdict.
"""
import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
# name, what it is compared with, the largest ratio that meets the goal. A peer "ours:x" is another case of our own.
GOALS = [
    ("mlp_sgd_step", "jax", 0.9),
    ("mlp_fit_step", "ours:mlp_sgd_step_cpu", 1.10),
    ("cnn_sgd_step", "torch_channels_last", 1.0),
    ("mlp_infer_n1", "onnxruntime", 0.8),
    ("eager_matmul_512", "torch", 1.1),
    ("resnet50_import", "onnxruntime", 0.5),
    ("bert_base_import_mb", "onnxruntime", 0.5),
]
# Limits of our own figures: microseconds.
LIMITS = [("serve_first_answer", 50000.0), ("eager_add", 1.0)]
# Shown beside the goals, without one.
ALSO = [("mlp_sgd_step", "torch"), ("cnn_sgd_step", "torch"), ("mlp_fit_step", "keras_tf"), ("cnn_fit_step", "keras_tf"),
        ("eager_matmul_512", "numpy"), ("bert_base_import", "onnxruntime"), ("resnet50_import_mb", "onnxruntime")]
PEERS = [["jax_mlp.py"], ["torch_train.py", "mlp"], ["torch_train.py", "cnn"], ["torch_train.py", "cnn_channels_last"],
         ["keras_fit.py", "mlp"], ["keras_fit.py", "cnn"], ["ort_infer.py"], ["torch_matmul.py"]]
# Files that bench/peers/make_models.py makes, for the rows of imports; not in --quick.
MODELS = ["resnet50.onnx", "bert_base.onnx"]
SIZE_LIMIT = 60 << 20


def rows_of(command, bad, env=None):
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        bad.append(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()[-300:]}")
        return []
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def one_core():
    """Our program runs pinned as the peers pin themselves."""
    return ["taskset", "-c", str(max(os.sched_getaffinity(0)))] if shutil.which("taskset") else []


def cpu():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        found = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    return found.group(1) if found else platform.machine()


def stripped_size(path):
    with tempfile.TemporaryDirectory() as work:
        copy = os.path.join(work, "tenon")
        shutil.copy(path, copy)
        subprocess.run(["strip", copy], check=True)
        return os.path.getsize(copy)


def row(name, ours, unit, peer, peer_value, goal, threads=1, why=None):
    ratio = ours / peer_value if ours is not None and peer_value else None
    return {"name": name, "threads": threads, "ours": ours, "unit": unit, "peer": peer, "peer_value": peer_value,
            "ratio": round(ratio, 3) if ratio is not None else None, "goal": goal,
            "ok": None if ratio is None or goal is None else ratio <= goal, **({"why": why} if why else {})}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable, help="the python of the peers' environment")
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only-peers", action="store_true")
    parser.add_argument("--out", default="out/bench.json")
    args = parser.parse_args()
    seen, bad, models = {}, [], []
    if not args.quick and not args.no_peers:
        folder = os.path.join(os.path.dirname(args.out) or ".", "bench_models")
        if not all(os.path.exists(os.path.join(folder, m)) for m in MODELS):
            rows_of([args.python, os.path.join(HERE, "peers/make_models.py"), folder], bad)
        models = [os.path.join(folder, m) for m in MODELS if os.path.exists(os.path.join(folder, m))]
    program = os.path.join(args.build, "bin/tenon_bench")
    for _ in range(1 if args.quick else args.rounds):
        for r in rows_of([*one_core(), program, "--threads", "1", *(["--quick"] if args.quick else [])], bad, {**os.environ, "OMP_NUM_THREADS": "1"}) if os.path.exists(program) and not args.only_peers else []:
            seen.setdefault(("ours", r["name"]), []).append(r["us"])
        for peer in [] if args.no_peers else [*PEERS, *(["ort_import.py", m] for m in 3 * models)]:
            for r in rows_of([args.python, os.path.join(HERE, "peers", peer[0]), *peer[1:]], bad):
                seen.setdefault((r["peer"], r["name"]), []).append(r.get("us", r.get("mb")))
        # As users meet them: the first import of a process, ours and theirs.
        for model in 3 * models if os.path.exists(program) and not args.only_peers else []:
            for r in rows_of([*one_core(), program, "--threads", "1", "--quick", "--import", model], bad):
                seen.setdefault(("ours", r["name"]), []).append(r.get("us", r.get("mb")))
        if os.path.exists(program) and not args.only_peers:
            with tempfile.TemporaryDirectory() as base:
                rows_of([program, "--save-mlp", os.path.join(base, "1")], bad)
                for r in rows_of([sys.executable, os.path.join(HERE, "serve_start.py"), os.path.join(args.build, "bin/tenon"), base], bad):
                    seen.setdefault(("ours", r["name"]), []).append(r["us"])
    value = {key: round(statistics.median(times), 2) for key, times in seen.items()}
    if args.only_peers:
        for (peer, name), us in sorted(value.items()):
            print(f"{name:16}{peer:>22}{us:12.2f} us")
        print("\n".join(bad))
        return 1 if bad else 0
    rows = []
    for name, peer, goal in [*GOALS, *((n, p, None) for n, p in ALSO)]:
        ours = value.get(("ours", name))
        other = value.get(("ours", peer[5:])) if peer.startswith("ours:") else value.get((peer, name))
        why = "our program did not measure it" if ours is None else "the peer was not measured" if other is None else None
        if goal is None and (ours is None or other is None):
            continue
        rows.append(row(name, ours, "MB" if name.endswith("_mb") else "us", peer, other, goal, why=why))
    for name, limit in LIMITS:
        ours = value.get(("ours", name))
        rows.append(row(name, ours, "us", "limit", limit, 1.0, why=None if ours is not None else "our program did not measure it"))
    command = os.path.join(args.build, "bin/tenon")
    if os.path.exists(command):
        rows.append(row("stripped_tenon_bytes", stripped_size(command), "bytes", "limit", SIZE_LIMIT, 1.0))
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    with open(args.out, "w", encoding="utf-8") as f:
        json.dump({"machine": cpu(), "cores": os.cpu_count(), "quick": args.quick, "rows": rows}, f, indent=1)
        f.write("\n")
    print(f"{'case':22}{'ours':>12} {'unit':6}{'peer':>22}{'theirs':>12}{'ratio':>8}{'goal':>6}")
    show = lambda v: "-" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v)
    for r in rows:
        verdict = "" if r["ok"] is None else " ok" if r["ok"] else " MISSED"
        print(f"{r['name']:22}{show(r['ours']):>12} {r['unit']:6}{r['peer']:>22}{show(r['peer_value']):>12}{show(r['ratio']):>8}{show(r['goal']):>6}{verdict}")
    print("\n".join(bad))
    missed = [r["name"] for r in rows if r["ok"] is False]
    return 1 if bad or (missed and not args.quick) else 0


if __name__ == "__main__":
    sys.exit(main())
