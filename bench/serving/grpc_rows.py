#!/usr/bin/env python3
"""What a gRPC request costs the server, beside a synchronous grpc++ server of tensorflow_model_server's shape.

  bench/serving/grpc_rows.py --build build --out out/bench-serving.json [--seconds 3] [--rounds 3]

Builds the peer and the load client with g++ and protoc (package protobuf-compiler-grpc) into BUILD/serving. The server
runs on one processor, the client on another; server CPU is what the process used by the system's account, divided by
the requests. Rounds of ours and the peer's alternate; a row holds the medians. Rows that are in the file already and
that this run does not measure are kept.
"""
import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHOD = "/tensorflow.serving.PredictionService/Predict"


def field(number, payload):
    size, head = len(payload), [number << 3 | 2]
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + payload


def predict_request(name, shape, values, content):
    """A PredictRequest of one f32 tensor."""
    dims = b""
    for d in shape:
        text = []
        while d >= 0x80:
            text.append(d & 0x7F | 0x80)
            d >>= 7
        dims += field(2, b"\x08" + bytes([*text, d]))
    data = struct.pack(f"<{len(values)}f", *values)
    tensor = b"\x08\x01" + field(2, dims) + field(4 if content else 5, data)
    return field(1, field(1, b"m")) + field(2, field(1, name.encode()) + field(2, tensor))


def write_models(folder):
    """An MLP 784-128-10 and the identity on images, as ONNX files in version folders."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    rng = np.random.default_rng(0)

    def save(name, nodes, ins, outs, weights=()):
        graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ins)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, outs)],
                                  initializer=[numpy_helper.from_array(w.astype("f"), n) for n, w in weights])
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / name / "1/model.onnx"))

    weights = [("w0", rng.normal(size=(784, 128)) / 28), ("b0", rng.normal(size=128)), ("w1", rng.normal(size=(128, 10)) / 11), ("b1", rng.normal(size=10))]
    save("mlp", [helper.make_node("Gemm", ["x", "w0", "b0"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
                 helper.make_node("Gemm", ["r", "w1", "b1"], ["y"])], ["n", 784], ["n", 10], weights)
    save("image", [helper.make_node("Relu", ["x"], ["y"])], ["n", 224, 224, 3], ["n", 224, 224, 3])


def compile_programs(build):
    """BUILD/serving/{load,peer}, made when their sources are newer; the peer is None without protoc's plugin."""
    out = build / "serving"
    out.mkdir(parents=True, exist_ok=True)
    source = ROOT / "bench/serving"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "grpc++", "protobuf"], capture_output=True, text=True, check=True).stdout.split()
    plugin = shutil.which("grpc_cpp_plugin")

    def make(name, *more):
        program = out / name
        if not program.exists() or program.stat().st_mtime < (source / f"{name}.cc").stat().st_mtime:
            subprocess.run(["g++", "-std=c++20", "-O2", str(source / f"{name}.cc"), *map(str, more), "-Wl,--as-needed", *flags, "-lpthread", "-o", str(program)], check=True)
        return program

    load = make("load")
    if plugin is None:
        print("no grpc_cpp_plugin (package protobuf-compiler-grpc): no peer", file=sys.stderr)
        return load, None
    protos = ROOT / "src/serve/grpc/proto"
    names = ["serving", "serving_config", "tensorflow_error", "tensorflow_types"]
    if not (out / "serving.grpc.pb.cc").exists():
        subprocess.run(["protoc", f"-I{protos}", f"--cpp_out={out}", f"--grpc_out={out}", f"--plugin=protoc-gen-grpc={plugin}",
                        *[str(protos / f"{n}.proto") for n in names]], check=True)
    generated = [out / f"{n}.pb.cc" for n in names] + [out / "serving.grpc.pb.cc"]
    return load, make("peer", *generated, f"-I{out}", f"-I{ROOT}/include", f"-L{build}/lib", "-ltenon", f"-Wl,-rpath,{build.resolve()}/lib")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        parts = f.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


class Running:
    """A server on processor 0 that has begun to listen."""

    def __init__(self, command, port, cpus):
        self.process = subprocess.Popen(["taskset", "-c", str(cpus[0]), *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = port
        end = time.monotonic() + 30
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"did not start: {command}")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def measure(self, load, request, connections, calls, seconds, cpus):
        before = cpu_seconds(self.process.pid)
        done = subprocess.run(["taskset", "-c", str(cpus[1]), str(load), f"127.0.0.1:{self.port}", METHOD, str(request), str(connections), str(calls), str(seconds)],
                              capture_output=True, text=True, check=True)
        result = json.loads(done.stdout)
        if result["failed"]:
            raise RuntimeError(f"{result['failed']} requests failed: {done.stderr}")
        result["cpu"] = (cpu_seconds(self.process.pid) - before) / result["requests"] * 1e6
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/bench-serving.json")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    cpus = [cpus[0], cpus[-1]]
    load, peer = compile_programs(args.build)
    work = args.build / "serving"
    write_models(work / "models")
    mlp, image = work / "mlp.bin", work / "image.bin"
    mlp.write_bytes(predict_request("x", (1, 784), [i / 784 for i in range(784)], False))
    image.write_bytes(predict_request("x", (1, 224, 224, 3), [0.5] * (224 * 224 * 3), True))

    def ours(model):
        port = free_port()
        return Running([args.build / "bin/tenon", "serve", "--address=127.0.0.1", f"--port={port}", "--rest_api_port=0", "--model_name=m",
                        f"--model_base_path={(work / 'models' / model).resolve()}"], port, cpus)

    def theirs(what):
        port = free_port()
        return Running([peer, f"127.0.0.1:{port}", what], port, cpus)

    def medians(make_ours, make_peer, request, connections, calls, key):
        seen = {"ours": [], "peer": []}
        for _ in range(args.rounds):
            for name, make in (("ours", make_ours), ("peer", make_peer)):
                if make is None:
                    continue
                with make() as server:
                    server.measure(load, request, connections, calls, 0.5, cpus)
                    seen[name].append(server.measure(load, request, connections, calls, args.seconds, cpus)[key])
        return [statistics.median(v) if v else None for v in seen.values()]

    rows = []

    def row(name, unit, value, other, what, goal, limit, relative):
        ratio = value / other if other else None
        measured = ratio if relative else value
        rows.append({"name": name, "threads": 1, "ours": value, "unit": unit, "peer": what, "peer_value": other, "ratio": ratio, "goal": goal,
                     "ok": None if measured is None else measured <= limit})
        print(f"{name}: {value:.1f} {unit}, {what} {other and round(other, 1)}, goal {goal}: {'ok' if rows[-1]['ok'] else 'missed'}")

    model = work / "models/mlp/1/model.onnx"
    shaped = (lambda: theirs(model)) if peer else None
    name = "synchronous grpc++ server"
    row("gRPC predict MLP, server CPU per request, 8 calls", "us", *medians(lambda: ours("mlp"), shaped, mlp, 8, 1, "cpu"), name, "<= 25 us", 25, False)
    row("gRPC predict MLP, server CPU per request, 1 call", "us", *medians(lambda: ours("mlp"), shaped, mlp, 1, 1, "cpu"), name, "<= 1 x the peer", 1, True)
    row("gRPC predict MLP, p50, one connection", "us", *medians(lambda: ours("mlp"), shaped, mlp, 1, 1, "p50"), name, "<= 1 x the peer", 1, True)
    echo = (lambda: theirs("--echo")) if peer else None
    row("gRPC 600 KB image, p50, one connection", "us", *medians(lambda: ours("image"), echo, image, 1, 1, "p50"), "gRPC echo", "<= 1.2 x the echo", 1.2, True)

    args.out.parent.mkdir(parents=True, exist_ok=True)
    old = json.loads(args.out.read_text()) if args.out.exists() else []
    kept = [r for r in (old["rows"] if isinstance(old, dict) else old) if r["name"] not in {x["name"] for x in rows}]
    args.out.write_text(json.dumps(kept + rows, indent=1) + "\n")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
