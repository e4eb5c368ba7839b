"""A new version proves itself on live traffic before it takes over; and the command's own client."""
import json
import subprocess
import time

import numpy
import onnx
import pytest
from onnx import TensorProto, helper
from serving import metric, wait_for, write_model


def shadow(server):
    return server.get("/v1/models/m/shadow").json()


def test_an_agreeing_version_is_promoted(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 0.5, 2)
    server = serve("--model_name=m", f"--model_base_path={base}", "--shadow_fraction=1", "--shadow_promote_after=30")
    assert shadow(server)["state"] == "NONE"
    write_model(base, 2, 0.5, 2.0000001)
    wait_for(lambda: server.get("/v1/models/m/versions/2").status_code == 200
             and server.get("/v1/models/m/versions/2").json()["model_version_status"][0]["state"] == "AVAILABLE", "version 2", server)
    assert server.get("/v1/models/m/metadata").json()["model_spec"]["version"] == "1"  # not the latest yet
    assert shadow(server)["state"] == "SHADOW"
    for _ in range(10):
        assert server.predict("m", [2, 4]).json() == {"predictions": [3.0, 4.0]}
    wait_for(lambda: shadow(server)["agreed"] >= 10, "mirrored requests", server)
    assert server.get("/v1/models/m/metadata").json()["model_spec"]["version"] == "1"

    def more():
        server.predict("m", [2, 4])
        return shadow(server)["state"] == "PROMOTED"

    wait_for(more, "the promotion", server)
    wait_for(lambda: server.get("/v1/models/m/metadata").json()["model_spec"]["version"] == "2", "version 2 as the latest", server)
    wait_for(lambda: server.get("/v1/models/m/versions/1").json()["model_version_status"][0]["state"] == "END", "version 1 to go", server)


def test_a_disagreeing_version_is_held_back_with_a_report(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 0.5, 2)
    server = serve("--model_name=m", f"--model_base_path={base}", "--shadow_fraction=1", "--shadow_promote_after=50",
                   f"--shadow_report_dir={tmp_path}")
    write_model(base, 2, 0.5, 2.5)

    def held():
        assert server.predict("m", [2, 4]).json() == {"predictions": [3.0, 4.0]}  # clients never see it
        return shadow(server)["state"] == "HELD_BACK"

    wait_for(held, "the verdict", server)
    report = shadow(server)
    assert report["serving_version"] == 1 and report["shadow_version"] == 2 and report["agreed"] == 0
    assert report["worst"]["output"] == "y" and report["worst"]["difference"] == pytest.approx(0.5)
    assert report["worst"]["measure"] == "budget" and 0 < report["worst"]["limit"] < 1e-4
    with numpy.load(report["worst"]["file"]) as saved:
        assert saved["input_0"].tolist() == [2.0, 4.0]
        assert saved["serving_0"].tolist() == [3.0, 4.0] and saved["shadow_0"].tolist() == [3.5, 4.5]
    assert metric(server.get("/metrics").text, "tenon_shadow_requests_total", model="m", verdict="disagreed") >= 1
    time.sleep(1.5)  # it stays away though its folder is still there
    assert server.predict("m", [2]).json() == {"predictions": [3.0]}
    write_model(base, 3, 0.5, 2)  # a better one

    def promoted():
        server.predict("m", [2, 4])
        return shadow(server)["state"] == "PROMOTED"

    wait_for(promoted, "version 3", server)


def write_sum(base, version, big):
    """y = (x + big) - big: the same function for every `big`, but for rounding."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])
    graph = helper.make_graph([helper.make_node("Add", ["x", "b"], ["t"]), helper.make_node("Sub", ["t", "b"], ["y"])], "sum", [x], [y],
                              initializer=[helper.make_tensor("b", TensorProto.FLOAT, [], [big])])
    staging = base.parent / f".staging-{version}"
    staging.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(staging / "model.onnx"))
    base.mkdir(exist_ok=True)
    staging.rename(base / str(version))
    return base


def verdict(server, values):
    def done():
        server.predict("m", values)
        return shadow(server)["state"] in ("PROMOTED", "HELD_BACK")

    wait_for(done, "the verdict", server)
    return shadow(server)


def test_what_rounding_explains_agrees(serve, tmp_path):
    """The versions differ by 3 %, all of it rounding: the float64 runs agree. A fixed tolerance holds it back."""
    flags = ["--shadow_fraction=1", "--shadow_promote_after=20"]
    for extra, state in ([], "PROMOTED"), (["--shadow_tolerance=1e-3"], "HELD_BACK"):
        base = write_sum(tmp_path / (state + "m"), 1, 0.0)
        server = serve("--model_name=m", f"--model_base_path={base}", *flags, *extra)
        write_sum(base, 2, 1e6)
        report = verdict(server, [0.21, 0.47])
        assert report["state"] == state, report
        assert report["worst"]["measure"] == ("budget" if state == "PROMOTED" else "relative")
        assert report["worst"]["difference"] > 0.01
        server.close()


def test_what_rounding_does_not_explain_is_held_back(serve, tmp_path):
    """Off by 1e-5: far within a thousandth, yet another function. With a tolerance it is taken."""
    flags = ["--shadow_fraction=1", "--shadow_promote_after=20"]
    for extra, state in ([], "HELD_BACK"), (["--shadow_tolerance=1e-3"], "PROMOTED"):
        base = write_model(tmp_path / (state + "m"), 1, 0.5, 2)
        server = serve("--model_name=m", f"--model_base_path={base}", *flags, *extra)
        write_model(base, 2, 0.5, 2.0001)
        report = verdict(server, [2, 4])
        assert report["state"] == state, report
        assert report["worst"]["difference"] > report["worst"]["limit"] or state == "PROMOTED"
        server.close()


def test_client(serve, build, tmp_path):
    base = write_model(tmp_path / "m", 1, 0.5, 2)
    server = serve("--model_name=m", f"--model_base_path={base}")

    def client(*arguments, code=0):
        done = subprocess.run([build / "bin" / "tenon", "client", *map(str, arguments)], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    numpy.save(tmp_path / "in.npy", numpy.array([2, 4], numpy.float32))
    numpy.savez(tmp_path / "in.npz", x=numpy.array([2.5], numpy.float64))
    (tmp_path / "in.json").write_text('{"instances": [8]}')
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    ask = lambda name, **more: client("predict", server.url, "--model", "m", "--inputs", tmp_path / name, **more)
    assert json.loads(ask("in.npy")) == {"outputs": [3.0, 4.0]}
    assert json.loads(ask("in.npz")) == {"outputs": [3.25]}
    assert json.loads(ask("in.json")) == {"predictions": [6.0]}
    assert "error" in json.loads(ask("image.png", code=3))
    assert client("health", server.url) == "ok\n"
    assert json.loads(client("status", server.url, "--model", "m"))["model_version_status"][0]["state"] == "AVAILABLE"
    assert "signature_def" in client("metadata", server.url, "--model", "m", "--version", 1)
    load = json.loads(client("load", server.url, "--model", "m", "--inputs", tmp_path / "in.json", "--connections", 2,
                             "--seconds", 1, "--json"))
    assert load["failed"] == 0 and load["requests"] > 50
    assert 0 < load["p50_us"] <= load["p90_us"] <= load["p99_us"] <= load["max_us"]
    server.stop()
    client("health", server.url, code=3)
