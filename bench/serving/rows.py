#!/usr/bin/env python3
"""What a request costs the server, beside other servers that do the same and beside what the system alone costs.

  bench/serving/rows.py --build build --out out/bench-serving.json [--seconds 1.5] [--rounds 3]

Everything runs on the loopback, servers on the first processor, the client on the last one, and ends by itself (about
five minutes). Servers of a group run side by side, the idle ones stopped; rounds of them alternate; a row holds the
medians. Rows that are in the file already and that this run does not measure are kept. docs/serving.md says what the
rows mean.
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time

from inputs import write_models, write_requests
from servers import ROOT, Programs, Server, free_port, measure

MANY = 200
# Servers with the structure of tensorflow_model_server's.
SHAPED_GRPC, SHAPED_REST = "synchronous grpc++ server", "libevent and RapidJSON server"


class Bench:
    def __init__(self, args):
        self.args, self.rows = args, []
        self.programs = Programs(args.build)
        self.work = self.programs.out
        self.models = self.work / "models"
        self.weights = write_models(self.models, MANY)
        write_requests(self.work)
        self.onnx = self.models / "mlp/1/model.onnx"

    # Servers by name.
    def ours(self, *flags, model="mlp", rest=False):
        port, other = free_port(), free_port()
        ports = [f"--port={other}", f"--rest_api_port={port}"] if rest else [f"--port={port}"]
        base = (self.models / model).resolve()
        return Server([self.args.build / "bin/tenon", "serve", "--address=127.0.0.1", *ports, "--model_name=m", f"--model_base_path={base}", *flags], port)

    def peer(self, what):
        port = free_port()
        return Server([self.programs.peer, f"127.0.0.1:{port}", what], port)

    def rest_peer(self, model):
        port = free_port()
        return Server([self.programs.rest_peer, port, self.models / model / "1/model.onnx"], port)

    def echo(self, request, reply, *flags):
        port = free_port()
        return Server([self.programs.echo, port, (self.work / request).stat().st_size, reply, *flags], port)

    def python(self, kind):
        port = free_port()
        return Server([sys.executable, ROOT / "bench/serving/onnx_server.py", kind, port, self.onnx, self.work], port)

    def compare(self, contenders, connections, calls, *options, seconds=None):
        """contenders: name -> (make a server, kind, request file, options of the client); name -> medians of each figure."""
        seen = {name: [] for name in contenders}
        with contextlib.ExitStack() as stack:
            servers = {name: stack.enter_context(make()) for name, (make, *_) in contenders.items()}
            for server in servers.values():
                server.pause(True)
            stack.callback(lambda: [s.pause(False) for s in servers.values()])
            for turn in range(-1, self.args.rounds):
                for name, (_, kind, request, *more) in contenders.items():
                    servers[name].pause(False)
                    length = 0.3 if turn < 0 else seconds or self.args.seconds
                    result = measure(self.programs.load, servers[name], kind, self.work / request, connections, calls, length, *options, *more)
                    servers[name].pause(True)
                    if turn >= 0:
                        result["rate"] = result["requests"] / result["seconds"]
                        seen[name].append(result)
        return {name: {key: statistics.median(r[key] for r in results) for key in results[0]} for name, results in seen.items()}

    def row(self, name, unit, ours, peer, peer_value, goal=None, limit=None, relative=False):
        ratio = ours / peer_value if peer_value else None
        measured = ratio if relative else ours
        ok = None if limit is None or measured is None else measured <= limit
        self.rows.append({"name": name, "threads": 1, "ours": ours, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio, "goal": goal, "ok": ok})
        beside = "" if peer_value is None else f", {peer} {peer_value:.1f} ({ratio:.2f} x)"
        print(f"{name}: {ours:.1f} {unit}{beside}{'' if goal is None else f', goal {goal}: ' + ('ok' if ok else 'missed')}", flush=True)

    def each(self, name, unit, key, seen, ours, peers, limit):
        """A row with the goal, if any, and one for each peer: name -> what of its cost is to be reached, or None."""
        self.row(name, unit, seen[ours][key], None, None, f"<= {limit} {unit}" if limit else None, limit)
        for peer, share in peers.items():
            if peer in seen:
                self.row(f"{name}, beside {peer}", unit, seen[ours][key], peer, seen[peer][key], f"<= {share} x" if share else None, share, True)

    # Groups of rows.
    def cpu_grpc(self):
        contenders = {"ours": (self.ours, "grpc", "mlp.grpc"), "batching": (lambda: self.ours("--enable_batching"), "grpc", "mlp.grpc"), "library": (lambda: self.ours("--grpc_transport=library"), "grpc", "mlp.grpc"),
                      "onnxruntime behind grpcio": (lambda: self.python("grpc"), "grpc", "mlp.grpc"),
                      "bare epoll echo": (lambda: self.echo("mlp.grpc", 120), "echo", "mlp.grpc", "--reply", "120")}
        if self.programs.peer:
            contenders[SHAPED_GRPC] = (lambda: self.peer(self.onnx), "grpc", "mlp.grpc")
            contenders["bare gRPC echo"] = (lambda: self.peer("--echo"), "grpc", "mlp.grpc")
        # The goals in microseconds are of a machine on which the server of the original's shape took 27.
        for connections, calls, what, limit in ((16, 10, "16 connections x 10 calls", 10), (8, 1, "8 connections x 1 call", 25)):
            seen = self.compare(contenders, connections, calls, "--spin")
            title = f"gRPC predict MLP, server CPU per request, {what}"
            echoes = {"bare gRPC echo": None, "bare epoll echo": None}
            self.each(title, "us", "cpu", seen, "ours", {SHAPED_GRPC: round(limit / 27, 2), **echoes, "onnxruntime behind grpcio": None}, limit)
            self.each(f"{title}, --enable_batching", "us", "cpu", seen, "batching", {SHAPED_GRPC: None, **echoes}, None)
            self.each(f"{title}, --grpc_transport=library", "us", "cpu", seen, "library", {SHAPED_GRPC: 0.93, **echoes}, 25)

    def cpu_rest(self):
        # The goal in microseconds is of a machine on which the server of the original's shape took 31.8 with a model that
        # computes nothing.
        def compare(title, connections, request, ours, *others):
            contenders = {"ours": (ours, "http", request), "bare epoll echo": (lambda: self.echo(request, 400), "echo", request, "--reply", 400)}
            contenders |= {name: (make, "http", request) for name, make in others if make is not None}
            seen = self.compare(contenders, connections, 1, "--spin")
            self.each(f"{title}, server CPU per request, {connections} connections", "us", "cpu", seen, "ours",
                      {SHAPED_REST: 0.38, "onnxruntime behind http.server": None, "bare epoll echo": None}, 12)

        shaped = (SHAPED_REST, (lambda: self.rest_peer("mlp")) if self.programs.rest_peer else None)
        python = ("onnxruntime behind http.server", lambda: self.python("rest"))
        compare("REST predict MLP", 64, "mlp.http", lambda: self.ours(rest=True), shaped, python)
        compare("REST predict MLP, four digits", 64, "short.http", lambda: self.ours(rest=True), shaped, python)
        compare("REST predict MLP", 8, "mlp.http", lambda: self.ours(rest=True), shaped, python)
        compare("REST predict MLP with --enable_batching", 64, "mlp.http", lambda: self.ours("--enable_batching", rest=True), shaped)
        shaped = (SHAPED_REST, (lambda: self.rest_peer("trivial")) if self.programs.rest_peer else None)
        compare("REST predict of 784 floats, a model that computes nothing", 64, "mlp.http", lambda: self.ours(model="trivial", rest=True), shaped)

    def latency(self):
        contenders = {"gRPC": (self.ours, "grpc", "mlp.grpc"), "REST": (lambda: self.ours(rest=True), "http", "mlp.http"),
                      "gRPC echo bytes": (lambda: self.echo("mlp.grpc", 120), "echo", "mlp.grpc", "--reply", "120"),
                      "REST echo bytes": (lambda: self.echo("mlp.http", 400), "echo", "mlp.http", "--reply", "400"),
                      "onnxruntime behind http.server": (lambda: self.python("rest"), "http", "mlp.http")}
        if self.programs.peer:
            contenders[SHAPED_GRPC] = (lambda: self.peer(self.onnx), "grpc", "mlp.grpc")
        seen = self.compare(contenders, 1, 1)
        for kind, other in (("gRPC", SHAPED_GRPC), ("REST", "onnxruntime behind http.server")):
            title = f"{kind} predict MLP, p50, one connection"
            self.row(f"{title}, beside bare epoll echo", "us", seen[kind]["p50"], "bare epoll echo", seen[f"{kind} echo bytes"]["p50"], "<= 1.1 x the echo", 1.1, True)
            if other in seen:
                self.row(f"{title}, beside {other}", "us", seen[kind]["p50"], other, seen[other]["p50"])
        spin = "--spin_microseconds=1000000"
        contenders = {"gRPC": (lambda: self.ours(spin), "grpc", "mlp.grpc"), "REST": (lambda: self.ours(spin, rest=True), "http", "mlp.http"),
                      "gRPC echo bytes": (lambda: self.echo("mlp.grpc", 120, "--spin"), "echo", "mlp.grpc", "--reply", "120"),
                      "REST echo bytes": (lambda: self.echo("mlp.http", 400, "--spin"), "echo", "mlp.http", "--reply", "400")}
        seen = self.compare(contenders, 1, 1, "--spin")
        for kind in ("gRPC", "REST"):
            self.row(f"{kind} predict MLP, p50, one connection, spin", "us", seen[kind]["p50"], "bare epoll echo, spin", seen[f"{kind} echo bytes"]["p50"], "<= 25 us", 25)

    def tail(self):
        """Sixteen connections; the load is that of the rate at which the server's processor is busy all the time. What
        an echo takes at that rate, bare and busy as long with each request as ours, is the machine's share. The median
        over windows of a thousand answers leaves out the moments in which the machine gave the processor to others."""
        for kind, make, form, reply in (("gRPC", self.ours, "grpc", 120), ("REST", lambda: self.ours(rest=True), "http", 400)):
            request = f"mlp.{form}"
            ours = (make, form, request)
            echo = (lambda: self.echo(request, reply), "echo", request, "--reply", reply)
            full = self.compare({"ours": ours, "echo": echo}, 16, 1, "--spin")
            rate, work = 0.6 * full["ours"]["rate"], max(0, full["ours"]["cpu"] - full["echo"]["cpu"])
            busy = (lambda: self.echo(request, reply, "--work", int(1000 * work)), "echo", request, "--reply", reply)
            seen = self.compare({"ours": ours, "echo": echo, "busy": busy}, 16, 1, "--rate", rate, seconds=2 * self.args.seconds)
            title = f"{kind} predict MLP, p99 at 60 % load"
            self.row(title, "us", seen["ours"]["p99"], f"its p50 ({rate:.0f} requests a second)", seen["ours"]["p50"], "<= 3 x p50", 3, True)
            self.row(f"{title}, median of windows of 1000 answers", "us", seen["ours"]["window_p99"], "its p50", seen["ours"]["p50"], "<= 3 x p50", 3, True)
            self.row(f"{title}, median of windows of 1000 answers, of an echo that computes as long", "us", seen["busy"]["window_p99"], "its p50", seen["busy"]["p50"])
            self.row(f"{title}, beside a bare epoll echo at that rate", "us", seen["ours"]["p99"], "bare epoll echo", seen["echo"]["p99"])
            self.row(f"{title}, beside an epoll echo that computes {work:.1f} us for each request", "us", seen["ours"]["p99"], "busy epoll echo", seen["busy"]["p99"])
            self.row(f"{title}: p99 of that echo over its p50", "us", seen["busy"]["p99"], "its p50", seen["busy"]["p50"])

    def image(self):
        if not self.programs.peer:
            return
        contenders = {"ours": (lambda: self.ours(model="image"), "grpc", "image.grpc"), "bare gRPC echo": (lambda: self.peer("--echo"), "grpc", "image.grpc"),
                      "library": (lambda: self.ours("--grpc_transport=library", model="image"), "grpc", "image.grpc")}
        seen = self.compare(contenders, 1, 1)
        for key, what in (("p50", "p50, one connection"), ("cpu", "server CPU per request")):
            self.row(f"gRPC 600 KB image, {what}", "us", seen["ours"][key], "bare gRPC echo", seen["bare gRPC echo"][key], "<= 1.2 x the echo", 1.2, True)
            self.row(f"gRPC 600 KB image, {what}, --grpc_transport=library", "us", seen["library"][key], "bare gRPC echo", seen["bare gRPC echo"][key])

    def many(self):
        """Time from the start of the process until all models are served (the port opens then), and memory."""
        def start(*flags):
            port = free_port()
            begun = time.monotonic()
            with Server([self.args.build / "bin/tenon", "serve", "--address=127.0.0.1", f"--rest_api_port={port}", *flags], port) as server:
                return time.monotonic() - begun, server.resident_bytes()

        times, sizes, alone = [], [], []
        for _ in range(self.args.rounds):
            took, size = start(f"--model_config_file={self.models / 'many.config'}")
            times.append(took)
            sizes.append(size)
            alone.append(start("--model_name=m", f"--model_base_path={(self.models / 'mlp').resolve()}")[1])
        self.row(f"{MANY} MLP models at start, all ready", "s", statistics.median(times), None, None, "<= 2 s", 2)
        each = (statistics.median(sizes) - statistics.median(alone)) / (MANY - 1)
        self.row("memory of an idle MLP model beyond its weights", "KB", (each - self.weights) / 1024, "its weights", self.weights / 1024, "<= 1024 KB", 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/bench-serving.json")
    parser.add_argument("--seconds", type=float, default=1.5, help="of one run of the client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="groups, with commas: cpu_grpc cpu_rest tail latency image many")
    args = parser.parse_args()
    args.build = args.build.resolve()
    bench = Bench(args)
    groups = args.only.split(",") if args.only else ["cpu_grpc", "cpu_rest", "tail", "latency", "image", "many"]
    for group in groups:
        getattr(bench, group)()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    old = json.loads(args.out.read_text()) if args.out.exists() else []
    kept = [r for r in (old["rows"] if isinstance(old, dict) else old) if r["name"] not in {x["name"] for x in bench.rows}]
    args.out.write_text(json.dumps(kept + bench.rows, indent=1) + "\n")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
