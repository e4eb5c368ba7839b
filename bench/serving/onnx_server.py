#!/usr/bin/env python3
"""The everyday alternative: ONNX Runtime on one thread behind Python's own HTTP server, or behind grpcio.

  onnx_server.py rest PORT MODEL | onnx_server.py grpc PORT MODEL FOLDER_OF_PROTOS
"""
import json
import sys
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def rest(port, model):
    run = session(model).run

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            outputs = run(None, {"x": np.asarray(body["instances"], np.float32)})[0]
            reply = json.dumps({"predictions": outputs.tolist()}).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply)

        def log_message(self, *_):
            pass

    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def serve_grpc(port, model, protos):
    sys.path.insert(0, protos)
    import grpc
    import serving_pb2
    run = session(model).run

    def predict(request, _):
        tensor = request.inputs["x"]
        values = np.frombuffer(tensor.tensor_content, np.float32) if tensor.tensor_content else np.asarray(tensor.float_val, np.float32)
        outputs = run(None, {"x": values.reshape([d.size for d in tensor.tensor_shape.dim])})[0]
        reply = serving_pb2.PredictResponse()
        out = reply.outputs["y"]
        out.dtype = 1
        for d in outputs.shape:
            out.tensor_shape.dim.add().size = d
        out.float_val.extend(outputs.ravel().tolist())
        return reply

    method = grpc.unary_unary_rpc_method_handler(predict, serving_pb2.PredictRequest.FromString, serving_pb2.PredictResponse.SerializeToString)
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": method}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "rest":
        rest(int(sys.argv[2]), sys.argv[3])
    else:
        serve_grpc(int(sys.argv[2]), sys.argv[3], sys.argv[4])
