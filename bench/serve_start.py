#!/usr/bin/env python3
"""From the start of `tenon serve` to its first answer, for the MLP 784-128-10.

  bench/serve_start.py TENON MODEL_BASE_PATH [--repetitions 7]

MODEL_BASE_PATH holds the folder 1 with the model (tenon_bench --save-mlp DIR makes one). Each repetition starts the
command on a free loopback port, connects as soon as the port answers, sends one REST predict of one row and waits for
the whole answer; a 404 or 503 (the version is still being loaded) is asked again. The time runs from before the process
is made to the last byte of the first 200. Prints
{"name": "serve_first_answer", "threads": 1, "us": median}; cpu_us is the processor's time of the server until then (in ticks of
10 ms, the mean), which another program's load does not change.
"""
import argparse
import json
import os
import signal
import socket
import statistics
import sys
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answer(port, request):
    """The status of one request, or None while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(request)
            got = b""
            while b"\r\n\r\n" not in got:
                more = s.recv(65536)
                if not more:
                    return None
                got += more
            head, _, body = got.partition(b"\r\n\r\n")
            length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            while length and len(body) < length[0]:
                more = s.recv(65536)
                if not more:
                    return None
                body += more
            status = int(head.split()[1])
            if status == 200 and len(json.loads(body)["predictions"][0]) != 10:
                raise SystemExit(f"serve_start: an answer without ten numbers: {body[:200]!r}")
            return status
    except (ConnectionRefusedError, ConnectionResetError):
        return None


def once(command, base):
    port = free_port()
    body = json.dumps({"instances": [[i % 13 / 13 for i in range(784)]]}).encode()
    request = (b"POST /v1/models/mlp:predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    args = [command, "serve", "--model_name=mlp", f"--model_base_path={os.path.abspath(base)}", f"--rest_api_port={port}"]
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(command, args, os.environ, file_actions=quiet)
    try:
        while answer(port, request) != 200:
            if time.perf_counter() - start > 20 or os.waitpid(pid, os.WNOHANG)[0]:
                raise SystemExit("serve_start: no answer from " + " ".join(args))
            time.sleep(0.0005)
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            user, system = f.read().rpartition(")")[2].split()[11:13]
        return time.perf_counter() - start, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    finally:
        try:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenon")
    parser.add_argument("base")
    parser.add_argument("--repetitions", type=int, default=7)
    args = parser.parse_args()
    runs = [once(os.path.abspath(args.tenon), args.base) for _ in range(args.repetitions)]
    times, cpu = [t for t, _ in runs], [c for _, c in runs]
    print(json.dumps({"name": "serve_first_answer", "threads": 1, "us": round(statistics.median(times) * 1e6, 1),
                      "min_us": round(min(times) * 1e6, 1), "max_us": round(max(times) * 1e6, 1),
                      "cpu_us": round(statistics.mean(cpu) * 1e6, 1)}))


if __name__ == "__main__":
    sys.exit(main())
