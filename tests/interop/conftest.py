"""What the interop tests share: where the build is, and how to call its programs."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def pytest_configure():
    """TENON_REQUIRE_DATA=1: tests that would skip without their data do not even begin."""
    folder = pathlib.Path(os.environ.get("TENON_TEST_DATA", "/nowhere"))
    missing = [name for name in ("fixtures/onnx", "fixtures/savedmodel", "data") if not (folder / name).is_dir()]
    if os.environ.get("TENON_REQUIRE_DATA") == "1" and missing:
        raise pytest.UsageError(f"TENON_REQUIRE_DATA=1, but {folder} has no {', '.join(missing)}")


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build"))


@pytest.fixture(scope="session")
def tenon(build):
    """tenon("convert", a, b): runs the command; fails the test with its messages when it fails."""

    def run(*args, program="tenon"):
        done = subprocess.run([str(build / "bin" / program), *map(str, args)], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{program} {' '.join(map(str, args))}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def program(build):
    return build / "bin" / "tensorflow_model_server"


@pytest.fixture
def model(tmp_path):
    """The base path of a model with version 1: y = 0.5 x + 2."""
    from serving import write_model

    return write_model(tmp_path / "m", 1, 0.5, 2)


@pytest.fixture
def serve(program):
    """serve("--model_name=m", …): starts a server (see serving.Server) that ends with the test."""
    from serving import Server

    started = []

    def start(*flags, **more):
        started.append(Server(program, *flags, **more))
        return started[-1]

    yield start
    for server in started:
        server.close()
