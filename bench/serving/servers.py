"""The programs of the serving rows: built when their sources are newer, run on one processor each, measured."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "bench/serving"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]


class Programs:
    """BUILD/serving/{load,echo,peer,rest_peer}; peer is None without protoc's plugin for C++, rest_peer without libevent
    or RapidJSON."""

    def __init__(self, build):
        self.build, self.out = build, build / "serving"
        self.out.mkdir(parents=True, exist_ok=True)
        self.load, self.echo, self.peer, self.rest_peer = self.make("load"), self.make("echo"), None, None
        protos = ROOT / "src/serve/grpc/proto"
        names = ["serving", "serving_config", "tensorflow_error", "tensorflow_types"]
        files = [str(protos / f"{n}.proto") for n in names]
        subprocess.run(["protoc", f"-I{protos}", f"--python_out={self.out}", *files], check=True)
        generated = [self.out / f"{n}.pb.cc" for n in names]
        if not all(f.exists() for f in generated):
            subprocess.run(["protoc", f"-I{protos}", f"--cpp_out={self.out}", *files], check=True)
        engine = [f"-I{self.out}", f"-I{ROOT}/include", f"-L{build}/lib", "-ltenon", f"-Wl,-rpath,{build.resolve()}/lib", "-Wl,--as-needed"]
        if subprocess.run(["pkg-config", "--exists", "libevent_pthreads", "re2", "RapidJSON"], check=False).returncode == 0:
            self.rest_peer = self.make("rest_peer", *generated, *engine, *self.flags("libevent", "libevent_pthreads", "re2", "RapidJSON", "protobuf"), "-lpthread")
        else:
            print("no libevent or RapidJSON (packages libevent-dev, rapidjson-dev): no REST server of the original's shape", file=sys.stderr)
        plugin = shutil.which("grpc_cpp_plugin")
        if plugin is None:
            print("no grpc_cpp_plugin (package protobuf-compiler-grpc): no synchronous grpc++ server, no gRPC echo", file=sys.stderr)
            return
        service = self.out / "serving.grpc.pb.cc"
        if not service.exists():
            subprocess.run(["protoc", f"-I{protos}", f"--grpc_out={self.out}", f"--plugin=protoc-gen-grpc={plugin}", *files], check=True)
        self.peer = self.make("peer", *generated, service, *engine, *self.flags("grpc++", "protobuf"), "-lpthread")

    @staticmethod
    def flags(*packages):
        return subprocess.run(["pkg-config", "--cflags", "--libs", *packages], capture_output=True, text=True, check=True).stdout.split()

    def make(self, name, *more):
        program, source = self.out / name, SOURCE / f"{name}.cc"
        newest = max(f.stat().st_mtime for f in [source, *SOURCE.glob("*.h")])
        if not program.exists() or program.stat().st_mtime < newest:
            subprocess.run(["g++", "-std=c++20", "-O2", "-DNDEBUG", str(source), *map(str, more), "-o", str(program)], check=True)
        return program


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A process on SERVER_CPU that listens on its port; ended with the context."""

    def __init__(self, command, port, wait=True):
        self.port = port
        self.process = subprocess.Popen(["taskset", "-c", str(SERVER_CPU), *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            self.wait()

    def wait(self):
        end = time.monotonic() + 60
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"did not start: {self.process.args}")
            time.sleep(0.005)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def cpu_seconds(self):
        """By the process's own clock (clock_getcpuclockid): threads that have ended count."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_bytes(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def pause(self, on):
        """Idle servers on the same processor must not spin beside the one that is measured."""
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)


def measure(load, server, kind, request, connections, calls, seconds, *options):
    """requests, failed, seconds, p50, p99 (us) of one run of the client, and cpu: the server's us per request."""
    before = server.cpu_seconds()
    done = subprocess.run(["taskset", "-c", str(CLIENT_CPU), *map(str, [load, kind, server.port, request, connections, calls, seconds, *options])],
                          capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode != 0:
        raise RuntimeError(f"the client ended with {done.returncode}: {done.stderr}")
    result = json.loads(done.stdout)
    if result["failed"]:
        raise RuntimeError(f"{result['failed']} requests failed: {done.stderr}")
    result["cpu"] = (server.cpu_seconds() - before) / result["requests"] * 1e6
    return result
