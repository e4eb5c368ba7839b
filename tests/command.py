#!/usr/bin/env python3
"""The command as a script sees it: what is documented is so. Each help shows an example; the exit status tells done (0), a bug
found by verification (1), wrong usage (2) and failure (3); data goes to stdout, what happened to stderr; --json is JSON.
Usage: command.py SOURCE_DIR BUILD_DIR."""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

BUILD = os.path.abspath(sys.argv[2])
TENON = os.path.join(BUILD, "bin/tenon")


def tenon(*args, status=0, cwd=None):
    done = subprocess.run([TENON, *args], capture_output=True, text=True, cwd=cwd, timeout=300, check=False)
    if done.returncode != status:
        sys.exit(f"tenon {' '.join(args)}: exit status {done.returncode}, expected {status}\n{done.stdout}{done.stderr}")
    return done


def write_npz(path, arrays):
    """Float arrays only: {name: (shape, values)}."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, (shape, values) in arrays.items():
            header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
            header += b" " * (-(len(header) + 11) % 64) + b"\n"
            archive.writestr(name + ".npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}f", *values))


def check_help():
    commands = re.findall(r"^  (\w[\w-]*)  ", tenon("--help").stdout.split("ubcommands:")[-1], re.M)
    assert {"convert", "verify", "inspect", "run", "serve", "bench", "doctor"} <= set(commands), commands
    for command in commands:
        shown = tenon(command, "--help").stdout
        assert "xample" in shown and f"tenon {command}" in shown, f"tenon {command} --help shows no example:\n{shown}"
    assert "Exit status: 0 done, 1 verification found a bug, 2 wrong usage, 3 failed" in " ".join(tenon("--help").stdout.split())
    assert re.fullmatch(r"tenon \d+\.\d+\.\d+\n", tenon("--version").stdout)
    print(f"help: {len(commands)} commands, each with an example")


def check_models(folder):
    subprocess.run([os.path.join(BUILD, "examples/embedded")], cwd=folder, check=True, capture_output=True)
    model = os.path.join(folder, "embedded_model.tenon")
    size = 3 * 224 * 224
    write_npz(os.path.join(folder, "in.npz"), {"input": ((1, 3, 224, 224), [i % 7 / 7 for i in range(size)])})

    seen = json.loads(tenon("inspect", model, "--json").stdout)
    assert seen, "inspect --json says nothing"
    tenon("run", model, "--inputs", "in.npz", "--outputs", "out.npz", "--threads", "1", cwd=folder)
    with zipfile.ZipFile(os.path.join(folder, "out.npz")) as archive:
        assert archive.namelist() == ["scores.npy"]
    tenon("run", model, "--inputs", "in.npz", "--outputs", "exact.npz", "--float64", cwd=folder)

    # Formats are recognised by content: the names say nothing.
    for target, flag in (("a.onnx", "onnx"), ("saved", "saved_model"), ("b.tenon", "tenon")):
        converted = tenon("convert", model, target, "--to", flag, "--json", cwd=folder)
        assert json.loads(converted.stdout), target
        plain = os.path.join(folder, "without_a_name_" + flag)
        os.rename(os.path.join(folder, target), plain)
        same = json.loads(tenon("verify", model, plain, "--json").stdout)
        assert same, target
        tenon("run", plain, "--inputs", "in.npz", "--outputs", f"{flag}.npz", cwd=folder)

    # Recorded outputs that the model gives, and others.
    assert tenon("verify", model, "--inputs", "in.npz", "--outputs", "out.npz", cwd=folder).stdout
    write_npz(os.path.join(folder, "wrong.npz"), {"scores": ((1, 10), [1.0] * 10)})
    found = tenon("verify", model, "--inputs", "in.npz", "--outputs", "wrong.npz", status=1, cwd=folder)
    assert "bug" in found.stdout, found.stdout
    json.loads(tenon("bench", model, "--seconds", "0.05", "--threads", "1", "--json").stdout)
    print("convert, verify, inspect, run, bench: done, and a bug is exit status 1")


def check_failures(folder):
    for args in (("convert",), ("run", "m"), ("run", "m", "--inputs", "i", "--outputs", "o", "--backend", "gpu"), ("nonsense",), ("bench", "m", "--threads", "-1"),
                 ("convert", "a", "b", "--opset", "3"), ()):
        done = tenon(*args, status=2)
        assert args == () or (done.stderr and not done.stdout), f"tenon {args}: stdout {done.stdout!r}"
    missing, garbage = os.path.join(folder, "missing.onnx"), os.path.join(folder, "garbage")
    with open(garbage, "wb") as f:
        f.write(bytes(range(256)) * 10)
    model = os.path.join(folder, "embedded_model.tenon")
    for args, said in ((("inspect", missing), missing), (("inspect", garbage), garbage), (("convert", missing, os.path.join(folder, "x.onnx")), missing),
                       (("run", model, "--inputs", missing, "--outputs", os.path.join(folder, "y.npz")), missing), (("verify", model, garbage), garbage),
                       (("convert", model, os.path.join(folder, "no", "such", "x.onnx")), "x.onnx")):
        done = tenon(*args, status=3)
        assert said in done.stderr and not done.stdout, f"tenon {args}\nstdout {done.stdout!r}\nstderr {done.stderr!r}"
    assert not os.path.exists(os.path.join(folder, "x.onnx")) and not os.path.exists(os.path.join(folder, "y.npz"))
    print("failures: the status, the file's name on stderr, nothing on stdout, nothing written")


def main():
    check_help()
    json.loads(tenon("doctor", "--json").stdout)
    with tempfile.TemporaryDirectory() as folder:
        check_models(folder)
        check_failures(folder)


main()
