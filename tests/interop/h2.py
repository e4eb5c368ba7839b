"""Just enough of HTTP/2 to do what grpcio does not: messages that are sent in part, sockets that are closed in part.

Frame: 3 bytes length, 1 type, 1 flags, 4 stream, payload. Header fields are sent as HPACK literals without an index and without
Huffman's code: 0x00, length and name, length and value. Answers are read frame by frame; their header blocks are not decoded.
"""
import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def message(payload):
    return b"\0" + struct.pack(">I", len(payload)) + payload


def text(value):
    raw = value.encode()
    assert len(raw) < 127
    return bytes([len(raw)]) + raw


class Client:
    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.stream = -1
        self.half_closed = False
        self.buffer = b""
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        for kind, flags, _, _ in self.frames():  # the server's windows hold from our acknowledgement on
            if kind == SETTINGS and not flags & ACK:
                return

    def close(self):
        self.socket.close()

    def half_close(self):
        self.half_closed = True
        self.socket.shutdown(socket.SHUT_WR)

    def begin(self, path=PREDICT):
        """The head of a call; its number."""
        self.stream += 2
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"), ("content-type", "application/grpc")]
        block = b"".join(b"\0" + text(k) + text(v) for k, v in fields)
        self.socket.sendall(frame(HEADERS, END_HEADERS, self.stream, block))
        return self.stream

    def send(self, stream, data, end=False):
        pieces = [data[i:i + 16384] for i in range(0, len(data), 16384)] or [b""]
        for i, piece in enumerate(pieces):
            self.socket.sendall(frame(DATA, END_STREAM if end and i == len(pieces) - 1 else 0, stream, piece))

    def frames(self):
        """(type, flags, stream, payload) until the server closes; settings and pings are acknowledged."""
        while True:
            while len(self.buffer) >= 9:
                size = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) < 9 + size:
                    break
                kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
                payload, self.buffer = self.buffer[9:9 + size], self.buffer[9 + size:]
                if kind in (SETTINGS, PING) and not flags & ACK and not self.half_closed:
                    self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
                yield kind, flags, stream, payload
            more = self.socket.recv(65536)
            if not more:
                return
            self.buffer += more

    def answer(self, stream):
        """The data of a call's answer, once it has ended; None when the server closes before."""
        data = b""
        for kind, flags, of, payload in self.frames():
            if of != stream:
                continue
            if kind == DATA:
                data += payload
            if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
                return data
        return None
