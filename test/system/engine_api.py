#!/usr/bin/env python3
"""The engine's API as a program meets it: HTTP on the Unix socket of a holdfastd without peers and volumes."""
import os
import stat
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import EngineConnection, connected
from lone_engine import LoneEngine, check, comes_true, finish


def statuses(engine):
    for method, target, body, wanted in (
            ("GET", "/v1/status", None, 200), ("GET", "/v1/peers", None, 200), ("POST", "/v1/reload", None, 200), ("POST", "/v1/reload", "{}", 200),
            ("POST", "/v1/status", None, 405), ("DELETE", "/v1/status", None, 405), ("GET", "/v1/nothing", None, 404), ("GET", "/", None, 404),
            ("POST", "/v1/pair", "{", 400), ("POST", "/v1/pair", "[]", 400), ("POST", "/v1/pair", b"\xff\xfe", 400), ("POST", "/v1/revoke", {"peer": "nobody"}, 404),
            ("POST", "/v1/pair-offer", None, 400), ("GET", "/v1/status?x=1", None, 400), ("POST", "/v1/reload", "x" * (65 << 10), 413)):
        status, answer = engine.ask(method, target, body)
        check(f"{method} {target} {str(body)[:20]} is answered {wanted}", status == wanted, f"{status} {answer}")
        if wanted >= 400:
            check("  with a sentence", isinstance(answer, dict) and answer["error"]["message"] and answer["error"]["code"], answer)


def one_connection(engine):
    connection = EngineConnection(engine.socket)
    for _ in range(3):
        connection.request("GET", "/v1/status")
        answer = connection.getresponse()
        answer.read()
    check("a connection serves one request after the other", answer.status == 200)
    connection.close()


def crowd(engine):
    """More connections than are served at once: those that say nothing are closed, and then there is room again."""
    begin = time.monotonic()
    silent = [connected(engine.socket) for _ in range(40)]
    check("silence does not keep the engine from answering for long", comes_true(engine.answers, 40))
    check("  but it is borne for a while", time.monotonic() - begin > 2, time.monotonic() - begin)
    for connection in silent:
        connection.close()


def metrics(engine):
    connection = EngineConnection(engine.socket)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read().decode()
    wanted = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    check("the metrics say what they are", answer.getheader("Content-Type") == wanted, answer.getheader("Content-Type"))
    check("the metrics are whole", text.endswith("\n# EOF\n") and "\nholdfast_build_info{" in text, text)
    connection.close()


def main():
    with LoneEngine() as engine:
        check("the socket is root's alone", stat.S_IMODE(os.stat(engine.socket).st_mode) == 0o600)
        statuses(engine)
        one_connection(engine)
        metrics(engine)
        crowd(engine)
        check("the engine goes on", engine.ask("GET", "/v1/status")[0] == 200)
        check("it ends in order", engine.stop() == 0)
        check("its socket is gone", not engine.socket.exists())
    finish()


main()
