"""What is shipped beside the server: the dashboard names metrics that there are, the image's files fit the build."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from serving import wait_for, write_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy/docker"


def expressions(node):
    if isinstance(node, dict):
        if "expr" in node:
            yield node["expr"]
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def samples(text):
    """{name: set of label names} of the Prometheus text."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"([a-zA-Z_:][\w:]*)\{(.*)\} \S+$", line):
            found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2]))
    return found


def test_the_dashboard_names_what_a_server_exports(serve, tmp_path):
    base = write_model(tmp_path / "m", 1, 0.5, 2)
    other = write_model(tmp_path / "n", 1, 0.5, 2)
    (tmp_path / "models").write_text(f"""model_config_list {{
      config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" }}
      config {{ name: "n" base_path: "{other}" model_platform: "tensorflow" }} }}""")
    server = serve(f"--model_config_file={tmp_path / 'models'}", "--enable_batching", "--shadow_fraction=1",
                   "--shadow_promote_after=2", "--requests_per_second=100", "--max_body_bytes=4096")
    write_model(base, 2, 0.5, 2)

    def promoted():
        server.predict("m", [2, 4])
        time.sleep(0.05)
        return server.get("/v1/models/m/shadow").json()["state"] == "PROMOTED"

    wait_for(promoted, "version 2", server)
    server.predict("m", ["x"])
    assert server.post("/v1/models/m:predict", "x" * 5000).status_code == 413
    assert any(server.predict("m", [1]).status_code == 429 for _ in range(1000))
    time.sleep(1)
    wait_for(lambda: server.get("/v1/models/m/versions/1").json()["model_version_status"][0]["state"] == "END", "the unload", server)
    time.sleep(1)
    there = samples(server.get("/metrics").text)
    dashboard = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
    found = list(expressions(dashboard))
    assert len(found) > 10
    functions = {"sum", "by", "rate", "histogram_quantile", "clamp_min", "max", "avg"}
    for expression in found:
        bare = re.sub(r'"[^"]*"', '""', expression)
        names = {n for n in re.findall(r"\b[a-z][a-z_]{4,}\b", re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", "", bare))} - functions
        assert names, expression
        for name in names:
            assert name in there, f"{name} in {expression}"
        wanted = {label for group in re.findall(r"by \(([^)]*)\)", bare) for label in re.split(r",\s*", group)}
        wanted |= {label for group in re.findall(r"\{([^}]*)\}", bare) for label in re.findall(r"(\w+)\s*[=!]", group)}
        for name in names:
            assert wanted <= there[name] | {"le"}, f"{expression}: {name} has the labels {sorted(there[name])}"


def test_memory_is_measured_and_given_back(serve, tmp_path):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from serving import metric

    weights = np.random.default_rng(1).normal(size=(1024, 4096)).astype("f")  # 16 MiB

    def write(version):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1024])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4096])
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y],
                                  initializer=[numpy_helper.from_array(weights * version, "w")])
        folder = tmp_path / f"staging{version}"
        folder.mkdir()
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "model.onnx"))
        (tmp_path / "m").mkdir(exist_ok=True)
        folder.rename(tmp_path / "m" / str(version))

    write(1)
    server = serve("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    for _ in range(20):
        assert server.predict("m", [[0.0] * 1024]).status_code == 200
    text = server.get("/metrics").text
    held = metric(text, "tenon_model_memory_bytes", model="m", version="1")
    assert 16 << 20 <= held <= 80 << 20, held
    kernels = metric(text, "tenon_kernel_seconds_total", model="m", version="1")
    whole = metric(text, "tenon_request_duration_seconds_sum", model="m")
    assert 0 < kernels
    assert metric(text, "tenon_inference_duration_seconds_sum", model="m") <= whole
    write(2)
    wait_for(lambda: "END" in server.get("/v1/models/m/versions/1").text, "the unload", server)
    text = server.get("/metrics").text
    assert metric(text, "tenon_model_memory_bytes", model="m", version="1") == 0
    assert metric(text, "tenon_memory_returned_bytes_total", model="m", kind="held") >= 15 << 20
    assert metric(text, "tenon_memory_returned_bytes_total", model="m", kind="resident") >= 8 << 20


def docker_lines():
    joined = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def test_the_docker_file_names_what_there_is(build):
    folder, lines = build, docker_lines()
    assert lines[0].startswith("FROM ") and sum(line.startswith("FROM ") for line in lines) == 2
    stages = {m[1] for line in lines if (m := re.match(r"FROM \S+ AS (\w+)", line))}
    for line in lines:
        if match := re.match(r"COPY (?:--from=(\w+) )?(\S+) \S+$", line):
            if match[1]:
                assert match[1] in stages, line
            else:
                assert (ROOT / match[2]).exists(), line
    script = DOCKER / "tf_serving_entrypoint.sh"
    assert os.access(script, os.X_OK)
    assert f'ENTRYPOINT ["/usr/bin/{script.name}"]' in lines and any(f"/usr/bin/{script.name}" in li for li in lines if li.startswith("COPY"))
    assert "EXPOSE 8500 8501" in lines and "ENV MODEL_NAME=model MODEL_BASE_PATH=/models" in lines
    cmake = "\n".join(p.read_text() for p in [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")])
    command = next(line for line in lines if "cmake --build" in line)
    for option in re.findall(r"-D(\w+)=", command):
        assert option in cmake, option
    ninja = (folder / "build.ninja").read_text()
    for target in re.search(r"--target ([\w ]+?) +&&", command)[1].split():
        assert f"\nbuild {target}: phony" in ninja, target


def test_the_image_has_the_libraries_of_the_programs(build):
    if shutil.which("dpkg") is None:
        pytest.skip("packages are looked up by dpkg")
    run = next(line for line in docker_lines() if "libdnnl2" in line)
    listed = {word for word in run.split() if re.match(r"lib[\w.+-]+$", word)}
    everywhere = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}  # in debian:12-slim, or needed by every one of the list
    programs = [p for p in [build / "bin/tenon", *build.glob("**/libtenon*.so*")] if p.is_file()]
    needed = set()
    for program in programs:
        dynamic = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
        needed |= set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
    assert any("dnnl" in name for name in needed)
    for name in sorted(needed):
        if name.startswith("libtenon") or name.startswith("ld-linux"):
            continue
        owner = subprocess.run(["dpkg", "-S", f"*/{name}"], capture_output=True, text=True, check=False).stdout
        packages = {line.split(":")[0] for line in owner.splitlines()}
        assert packages & (listed | everywhere), f"{name} is in {sorted(packages) or 'no package'}; the image installs {sorted(listed)}"


@pytest.mark.parametrize("environment, arguments, name, path", [
    ({}, [], "model", "/models/model"),
    ({"MODEL_NAME": "resnet"}, ["--enable_batching"], "resnet", "/models/resnet"),
    ({"MODEL_BASE_PATH": "gs://b/x"}, [], "model", "gs://b/x/model"),
    ({"MODEL_NAME": "a b", "MODEL_BASE_PATH": "/m n"}, ["--rest_api_timeout_in_ms=5", "--x=a b"], "a b", "/m n/a b"),
])
def test_entry_point(tmp_path, environment, arguments, name, path):
    """The arguments of the original's script, each as one word; it becomes the server, so that signals reach it."""
    (tmp_path / "tensorflow_model_server").write_text('#!/bin/sh\necho $$\nprintf "%s\\n" "$@"\nexit 3\n')
    (tmp_path / "tensorflow_model_server").chmod(0o755)
    process = subprocess.Popen([DOCKER / "tf_serving_entrypoint.sh", *arguments], stdout=subprocess.PIPE, text=True,
                               env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environment})
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 3
    assert out.splitlines() == [str(process.pid), "--port=8500", "--rest_api_port=8501", f"--model_name={name}",
                                f"--model_base_path={path}", *arguments]
