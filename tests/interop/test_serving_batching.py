"""Batches, rule by rule."""
import threading
import time

from serving import metric
from serving_contract import config, write_config


def write_graph(folder, nodes, inputs, outputs):
    import onnx
    from onnx import TensorProto, helper

    (folder / "1").mkdir(parents=True)
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in each] for each in (inputs, outputs)]
    graph = helper.make_graph([helper.make_node(*node, **more) for node, more in nodes], "g", *ports)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "1" / "model.onnx"))


def test_batching_rules(serve, tmp_path):
    write_graph(tmp_path / "rows", [(("Identity", ["x"], ["y"]), {})], [("x", ["b", "n"])], [("y", ["b", "n"])])
    write_graph(tmp_path / "two", [(("Identity", ["a"], ["c"]), {}), (("Identity", ["b"], ["d"]), {})], [("a", ["n"]), ("b", ["m"])],
                [("c", ["n"]), ("d", ["m"])])
    write_graph(tmp_path / "sum", [(("ReduceSum", ["x"], ["y"]), {"keepdims": 0})], [("x", ["b"])], [("y", [])])
    write_graph(tmp_path / "one", [(("ReduceSum", ["x"], ["y"]), {"keepdims": 1})], [("x", ["b"])], [("y", [1])])
    file = write_config(tmp_path / "c", *[config(name, tmp_path / name) for name in ("rows", "two", "sum", "one")])
    parameters = tmp_path / "b"

    def start(text, *flags):
        parameters.write_text(text)
        return serve(f"--model_config_file={file}", "--enable_batching", f"--batching_parameters_file={parameters}", *flags)

    def ask(server, *values, model="rows"):
        """The answers to requests that are sent one soon after the other, each waiting for its own."""
        answers, threads = [None] * len(values), []
        for i, value in enumerate(values):
            def one(i=i, value=value):
                reply = server.post(f"/v1/models/{model}:predict", {"inputs": value})
                answers[i] = (reply.status_code, *reply.json().values())
            threads.append(threading.Thread(target=one))
            threads[-1].start()
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        return answers

    value = lambda name, number: f"{name} {{ value: {number} }} "
    one_thread = value("num_batch_threads", 1)
    server = start(value("max_batch_size", 4) + value("batch_timeout_micros", 300000) + one_thread + "allowed_batch_sizes: [2, 4] pad_variable_length_inputs: true")
    assert ask(server, {"a": [1, 2], "b": [1, 2, 3]}, model="two") == [(400, "Batching session Run() input tensors must have equal 0th-dimension size")]
    assert ask(server, [1, 2], model="sum") == [(400, "Batched output tensor has 0 dimensions")]
    assert ask(server, [1, 2], model="one") == [(400, "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors")]
    assert ask(server, [[1]] * 5) == [(400, "Task size 5 is larger than maximum input batch size 4")]
    runs = lambda: metric(server.get("/metrics").text, ":tensorflow:serving:batching_session:wrapped_run_count")
    before = runs()
    assert ask(server, [[1, 2]], [[7, 8, 9], [4, 5, 6]]) == [(200, [[1, 2, 1]]), (200, [[7, 8, 9], [4, 5, 6]])]
    assert runs() == before + 1
    assert metric(server.get("/metrics").text, ":tensorflow:serving:batching_session:padding_size_sum", execution_batch_size="4") == 1
    late = start(value("max_batch_size", 4) + value("batch_timeout_micros", 700000) + one_thread + value("max_enqueued_batches", 1), "--rest_api_timeout_in_ms=200")
    assert ask(late, [[1]] * 3, [[1]] * 3) == [
        (429, "Run() timeout exceeded while waiting in batching queue"),
        (503, "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and max_enqueued_batches is 1")]
    split = start(value("max_batch_size", 10) + value("enable_large_batch_splitting", "true") + value("max_execution_batch_size", 4) + one_thread)
    assert ask(split, [[i] for i in range(10)]) == [(200, [[i] for i in range(10)])]
    assert metric(split.get("/metrics").text, ":tensorflow:serving:batching_session:wrapped_run_count") == 3
    assert ask(split, [[0]] * 11) == [(400, "Task size 11 is larger than maximum input batch size 10")]
