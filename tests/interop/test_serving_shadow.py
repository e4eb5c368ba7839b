"""A new version proves itself on live traffic before it takes over; and the command's own client."""
import json
import subprocess
import time

import numpy
import pytest
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
    assert report["worst"]["output"] == "y" and report["worst"]["difference"] == pytest.approx(0.5 / 4)
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
