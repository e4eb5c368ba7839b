"""The command line of tensorflow_model_server: texts, exit status, and a start with an empty model that ends by SIGTERM.
usage: server_command.py SOURCE_DIR BUILD_DIR"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

FLAGS = """port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support enable_batching
allow_version_labels_for_unavailable_models batching_parameters_file enable_per_model_batching_parameters model_config_file
model_config_file_poll_wait_seconds model_name model_base_path num_load_threads num_unload_threads max_num_load_retries
load_retry_interval_micros file_system_poll_wait_seconds flush_filesystem_caches tensorflow_session_parallelism
tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism tensorflow_session_config_file ssl_config_file use_alts_credentials
platform_config_file per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments grpc_max_threads enable_model_warmup
num_request_iterations_for_warmup version monitoring_config_file remove_unused_fields_from_bundle_metagraph prefer_tflite_model
num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check xla_cpu_compilation_enabled
xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision skip_initialize_tpu
enable_grpc_healthcheck_service enable_serialization_as_tensor_content""".split()


def check_client(build, port, check):
    """tenon client, and what it says of options that do not fit."""
    def client(*arguments):
        done = subprocess.run([build / "bin" / "tenon", "client", *arguments], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    code, out, err = client("status", f"127.0.0.1:{port}")
    check(code == 0 and '"models"' in out, f"client status: {code} {out} {err}")
    code, out, err = client("status", f"http://127.0.0.1:{port}/", "--model=default")
    check(code == 3 and "Could not find any versions" in out and "status 404" in err, f"client status --model: {code} {out} {err}")
    for arguments, text in [(["health", f"http://127.0.0.1:{port}/v1/models/default"], "without a path"),
                            (["health", "https://localhost"], "https"),
                            (["predict", f"127.0.0.1:{port}", "--model=m"], "needs --inputs"),
                            (["predict", f"127.0.0.1:{port}", "--model=m", "--inputs=a.json", "--signature=s"], "signature_name"),
                            (["predict", f"127.0.0.1:{port}", "--model=m", "--inputs=a.npy", "--method=classify"], ".json")]:
        code, out, err = client(*arguments)
        check(code == 3 and text in err, f"client {arguments}: {code} {out} {err}")
    with socket.create_server(("127.0.0.1", 0)) as other:  # what speaks no HTTP/1
        threading.Thread(target=lambda: other.accept()[0].sendall(b"\0\0\x12\4\0\0\0\0\0" + bytes(18)), daemon=True).start()
        code, out, err = client("health", f"127.0.0.1:{other.getsockname()[1]}")
        check(code == 3 and "gRPC" in err, f"client to a gRPC port: {code} {out} {err}")


def main(build):
    program = build / "bin" / "tensorflow_model_server"

    def run(*flags):
        done = subprocess.run([program, *flags], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def check(condition, what):
        if not condition:
            sys.exit(f"server_command: {what}")

    code, out, _ = run("--version")
    check(code == 0 and re.match(r"TensorFlow ModelServer: .*\nTensorFlow Library: .*\n$", out), f"--version: {code} {out}")
    code, out, _ = run("--no_such_flag")
    check(code == 255 and out.startswith("unknown argument: --no_such_flag\n"), f"unknown flag: {code} {out[:200]}")
    check("Failed to start server. Error: " in out, "a start without a model")
    named = re.findall(r"^\t--(\w+)=", out, re.MULTILINE)
    check(len(FLAGS) == 48 and named[:48] and set(FLAGS) <= set(named), f"flags missing: {set(FLAGS) - set(named)}")
    code, _, err = run("--port=abc")
    check(code == 255 and "Couldn't interpret value abc for flag port." in err, f"--port=abc: {code} {err}")
    code, _, err = run("--enable_batching=yes")
    check(code == 255 and "flag enable_batching" in err, f"--enable_batching=yes: {code} {err}")
    done = subprocess.run([build / "bin" / "tenon", "serve", "--no_such_flag"], capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 2, f"tenon serve --no_such_flag: {done.returncode}")

    with tempfile.TemporaryDirectory() as folder:
        bad = pathlib.Path(folder) / "bad.config"
        bad.write_text("improperly formatted file")
        code, out, err = run(f"--model_config_file={bad}")
        check(code == 255 and "Error parsing text-format tensorflow.serving.ModelServerConfig" in err, f"bad config: {code} {err}")
        base = pathlib.Path(folder) / "model"
        base.mkdir()
        server = subprocess.Popen([program, "--port=0", "--rest_api_port=-1", "--address=127.0.0.1", f"--model_base_path={base}",
                                   "--unknown"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            port = None
            for line in server.stderr:
                if found := re.search(r"Exporting HTTP/REST API at:localhost:(\d+) ", line):
                    port = int(found[1])
                    break
            check(port, "the log does not say which port is open")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/default", timeout=10)
                check(False, "an empty model has a status")
            except urllib.error.HTTPError as error:
                body = error.read().decode()
                check(error.code == 404 and body == '{\n    "error": "Could not find any versions of model default"\n}', body)
            check_client(build, port, check)
            os.kill(server.pid, signal.SIGTERM)
            until = time.monotonic() + 30
            while server.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            check(server.poll() == 0, f"SIGTERM: exit status {server.poll()}")
        finally:
            if server.poll() is None:
                server.kill()
            server.wait()
            server.stderr.close()
        # The limit of connections is not the gRPC library's.
        server = subprocess.Popen([program, "--port=0", f"--grpc_socket_path={folder}/grpc", f"--model_base_path={base}",
                                   "--max_connections=5", "--grpc_transport=library"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        try:
            said = False
            for line in server.stderr:
                said = said or "--max_connections=5 holds for REST alone" in line
                if "Running gRPC ModelServer" in line:
                    break
            check(said, "nothing is said of --max_connections with the gRPC library")
        finally:
            server.kill()
            server.wait()
            server.stderr.close()
    print("flags, texts and exit status are the original's")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[2]))
