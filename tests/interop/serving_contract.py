"""What the tests of the server's contract share: the models of TensorFlow Serving's tests, config files, states."""
import os
import pathlib
import subprocess

import pytest

DATA = pathlib.Path(os.environ.get("TENON_TEST_DATA", pathlib.Path(__file__).resolve().parents[2] / "../shared"))
HALF = DATA / "data/savedmodel/tf_serving/servables/tensorflow/testdata/saved_model_half_plus_two_cpu/00000123"
needs_half = pytest.mark.skipif(not HALF.exists(), reason="the models of TensorFlow Serving's tests are not here (TENON_TEST_DATA)")


def run(program, *flags):
    done = subprocess.run([str(program), *map(str, flags)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def states(server, model="m"):
    reply = server.get(f"/v1/models/{model}").json()
    return {int(v["version"]): (v["state"], v["status"]["error_code"]) for v in reply.get("model_version_status", [])}


def message(server, model="m"):
    return server.get(f"/v1/models/{model}").json()["model_version_status"][0]["status"]["error_message"]


def config(name, base, more="", platform='model_platform: "tensorflow"'):
    return f'config {{ name: "{name}" base_path: "{base}" {platform} {more} }}\n'


def write_config(path, *entries):
    path.with_suffix(".new").write_text("model_config_list {\n" + "".join(entries) + "}")
    path.with_suffix(".new").rename(path)
    return path


def records(*logs):
    """A TFRecord of these messages; its checksums are those that TensorFlow's writer makes."""
    import tempfile

    import tensorflow as tf
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            for log in logs:
                writer.write(log.SerializeToString())
        return pathlib.Path(file.name).read_bytes()
