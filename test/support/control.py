"""Requests to Holdfast's control sockets, as any program may make them."""
import http.client
import json
import socket


def connected(path, timeout=60):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    connection.connect(str(path))
    return connection


def ask(path, request):
    """One request to capture.sock or store.sock: a line of JSON each way (docs/control_protocol.md)."""
    with connected(path) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        stream = connection.makefile()
        while True:
            answer = json.loads(stream.readline())
            if "progress" not in answer:
                return answer


class EngineConnection(http.client.HTTPConnection):
    """HTTP over the engine's Unix socket."""

    def __init__(self, path, timeout=60):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = connected(self.path, self.timeout)


def engine(path, method, target, body=None):
    """One request to engine.sock (docs/engine.md): the status and the body, read as JSON where it is that."""
    connection = EngineConnection(path)
    try:
        connection.request(method, target, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if answer.headers.get_content_type() == "application/json" else text
    finally:
        connection.close()
