#!/usr/bin/env python3
"""The load test of a sanitizer build: REST and gRPC clients at the same time, versions swapped under them.

  tools/sanitizers/load.py --build build-tsan [--seconds 10] [--client build/serving/load]

In the environment of `make interop`. Every transport of gRPC with and without --enable_batching; the server then ends by
SIGTERM under load. A finding (which ends the server), a failed answer or an end with another status than 0 fails. The
client is that of the serving benchmark, built where --client says when it is not there.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/serving"))
from inputs import write_models, write_requests  # noqa: E402
from servers import free_port  # noqa: E402


def options():
    """The environment that CMakePresets.json gives the tests of both sanitizer builds."""
    presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))["testPresets"]
    given = {k: v for p in presets if p["name"] in ("asan", "tsan") for k, v in p["environment"].items()}
    return {k: v.replace("${sourceDir}", str(ROOT)).replace("$penv{PATH}", os.environ["PATH"]) for k, v in given.items()}


def ready(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as reply:
        return reply.status == 200


def run(args, work, flags):
    """How many answers there were, and what went wrong."""
    base = work / "served"
    shutil.rmtree(base, ignore_errors=True)
    shutil.copytree(work / "models/mlp", base)
    grpc, rest = free_port(), free_port()
    log = work / "server.log"
    command = [args.build / "bin/tenon", "serve", "--address=127.0.0.1", f"--port={grpc}", f"--rest_api_port={rest}", "--model_name=m",
               f"--model_base_path={base}", "--file_system_poll_wait_seconds=1", *flags]
    with open(log, "w", encoding="utf-8") as out:
        server = subprocess.Popen(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **options()})
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            if ready(rest):
                break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    clients = [subprocess.Popen(list(map(str, [args.client, kind, port, work / request, connections, calls, args.seconds])),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for kind, port, request, connections, calls in (("grpc", grpc, "mlp.grpc", 4, 4), ("http", rest, "mlp.http", 8, 1),
                                                              ("http", rest, "short.http", 4, 2))]
    version = 1
    while any(client.poll() is None for client in clients) and server.poll() is None:
        version += 1
        shutil.copytree(base / str(version - 1), work / "staging")
        (work / "staging").rename(base / str(version))
        if version > 3:
            shutil.rmtree(base / str(version - 3))
        time.sleep(0.7)
    answers, wrong = 0, []
    for client in clients:
        out, err = client.communicate(timeout=60)
        if client.returncode != 0:
            wrong.append(f"client: {client.returncode} {err.strip()}")
            continue
        result = json.loads(out)
        answers += result["requests"]
        if result["failed"]:
            wrong.append(f"client: {result['failed']} of {result['requests']} failed {err.strip()}")
    # The end comes under load too: these may see their connection close.
    late = subprocess.Popen(list(map(str, [args.client, "http", rest, work / "mlp.http", 4, 1, 2])), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    server.send_signal(signal.SIGTERM)
    status = server.wait(120)
    late.wait(60)
    text = log.read_text(encoding="utf-8", errors="replace")
    if status != 0 or "Sanitizer" in text or "runtime error" in text:
        wrong.append(f"the server ended with {status}:\n{text[-20000:]}")
    return answers, version, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--client", type=pathlib.Path)
    args = parser.parse_args()
    args.client = args.client or args.build / "serving/load"
    if not args.client.exists():
        args.client.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["g++", "-std=c++20", "-O2", str(ROOT / "bench/serving/load.cc"), "-o", str(args.client)], check=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        write_models(work / "models", 0)
        write_requests(work)
        for transport in ("http2", "library"):
            for batching in ([], ["--enable_batching"]):
                flags = [f"--grpc_transport={transport}", *batching]
                answers, versions, wrong = run(args, work, flags)
                print(f"{' '.join(flags)}: {answers} answers, {versions} versions, {'; '.join(wrong) or 'nothing found'}", flush=True)
                failed = failed or bool(wrong) or answers == 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
