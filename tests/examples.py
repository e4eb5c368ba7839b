#!/usr/bin/env python3
"""Runs the examples that the build has made; each must end well. examples.py SOURCE_DIR BUILD_DIR"""
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

build = os.path.abspath(sys.argv[2])
folder = os.path.join(build, "examples")


def run(name, *args):
    with tempfile.TemporaryDirectory() as cwd:
        done = subprocess.run([os.path.join(folder, name), *args], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
        print(f"{name}: exit status {done.returncode}")
        if done.returncode != 0:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout


def serve():
    """train_export_serve ends on SIGTERM, after it has answered."""
    data = os.path.join(os.environ.get("TENON_TEST_DATA", ""), "data", "mnist")
    if not os.path.isdir(data):
        if os.environ.get("TENON_REQUIRE_DATA") == "1":
            sys.exit(f"{data} is missing")
        print("train_export_serve: skipped, no MNIST folder in TENON_TEST_DATA")
        return
    with tempfile.TemporaryDirectory() as cwd:
        os.mkdir(os.path.join(cwd, "out"))
        with open(os.path.join(cwd, "log"), "w+", encoding="utf-8") as log:
            server = subprocess.Popen([os.path.join(folder, "train_export_serve"), data, "1200", "-1"], cwd=cwd, stdout=log, stderr=subprocess.STDOUT)
            try:
                url = None
                for _ in range(600):
                    log.flush()
                    with open(log.name, encoding="utf-8") as f:
                        text = f.read()
                    if "serving at " in text:
                        url = text.split("serving at ")[1].split()[0]
                        break
                    if server.poll() is not None:
                        sys.exit("train_export_serve ended early:\n" + text[-3000:])
                    time.sleep(0.2)
                if url is None:
                    sys.exit("train_export_serve did not start to serve:\n" + text[-3000:])
                with urllib.request.urlopen(url, timeout=10) as reply:
                    status = reply.read().decode()
                if '"AVAILABLE"' not in status:
                    sys.exit("not available: " + status)
                server.send_signal(signal.SIGTERM)
                code = server.wait(timeout=60)
                print(f"train_export_serve: served, exit status {code} after SIGTERM")
                if code != 0:
                    sys.exit(1)
            finally:
                if server.poll() is None:
                    server.kill()
                    server.wait()


loss = run("own_layer")
assert "d loss / d w" in loss, loss
assert "score_loss" in run("functional_model")
assert "10 scores, sum 1" in run("embedded")
serve()
