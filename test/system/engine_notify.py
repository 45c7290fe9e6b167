#!/usr/bin/env python3
"""Events of the engine reach those whom its configuration names: a program, a webhook, a mailbox; and who hangs holds up nobody.

The HTTP and the SMTP server are this test's own, on the loopback.
"""
import json
import http.server
import socketserver
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from lone_engine import LoneEngine, check, comes_true, finish


class Web(http.server.BaseHTTPRequestHandler):
    posted, status = [], 200

    def do_POST(self):
        Web.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(Web.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Mailbox(socketserver.StreamRequestHandler):
    mails = []

    def handle(self):
        def say(line):
            self.wfile.write(line.encode() + b"\r\n")
        say("220 here")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                say("354 go on")
                text = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    text += line
                Mailbox.mails.append(text.decode())
            say("221 bye" if word == b"QUIT" else "250 ok")
            if word == b"QUIT":
                return


def serving(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def sinks(engine):
    return json.loads(engine.holdfast("engine", "status", "--json"))["notify"]


def main():
    web = serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web))
    smtp = serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox))
    with LoneEngine() as engine:
        hook, hang = engine.work / "hook", engine.work / "hang"
        hook.write_text(f"#!/bin/sh\ncat >> {engine.work}/told\n")
        hang.write_text("#!/bin/sh\nsleep 1000\n")
        for script in (hook, hang):
            script.chmod(0o700)
        engine.config.write_text(f'''name = "alpha"
[[notify]]
min_severity = "info"
exec = ["{hook}"]
[[notify]]
min_severity = "info"
exec = ["{hang}"]
[[notify]]
min_severity = "info"
webhook = "http://127.0.0.1:{web}/hook"
[[notify]]
min_severity = "error"
mail = {{ to = "admin@example.org", from = "holdfast@example.org", server = "127.0.0.1:{smtp}" }}
''')
        engine.holdfast("config", "reload")
        told = engine.work / "told"
        check("a program is told", comes_true(lambda: told.exists() and told.read_text().endswith("}\n")))
        event = json.loads(told.read_text().splitlines()[-1])
        check("  what `holdfast events` shows", event == engine.events()[-1] and event["code"] == "HF-E-403", event)
        check("a webhook is told", comes_true(lambda: event in Web.posted), Web.posted)
        check("who wants errors alone is not told of information", not Mailbox.mails, Mailbox.mails)

        begin = time.monotonic()
        check("a program that hangs holds up nobody", engine.ask("GET", "/v1/status")[0] == 200 and time.monotonic() - begin < 2)
        text = engine.config.read_text()
        engine.config.write_text("name = 7\n")
        check("a configuration that cannot be taken is refused", engine.ask("POST", "/v1/reload")[0] == 400)
        check("  and a mail says so", comes_true(lambda: Mailbox.mails), Mailbox.mails)
        mail = Mailbox.mails[0] if Mailbox.mails else ""
        check("  with code and sentence", "Subject: HF-E-404: error on alpha" in mail and "The configuration was not taken" in mail, mail)
        check("a program that hangs is killed when its time is up, and counted", comes_true(lambda: sinks(engine)[1]["failed"] >= 1 and "was killed" in sinks(engine)[1]["why"], 30), sinks(engine))

        Web.status = 500
        engine.config.write_text(text)
        engine.holdfast("config", "reload")
        check("a webhook that fails is counted with its reason", comes_true(lambda: sinks(engine)[2]["failed"] == 1 and "500" in sinks(engine)[2]["why"]), sinks(engine))
        after = engine.events()[-1]["number"]
        engine.config.write_text(text[:text.index("[[notify]]")])
        begin = time.monotonic()
        engine.holdfast("config", "reload")
        check("one that is being told is taken out without a wait", time.monotonic() - begin < 3 and sinks(engine) == [], sinks(engine))
        check("events are told from a number on", [event["code"] for event in engine.events(after)] == ["HF-E-403"], engine.events(after))
        check("a number that is none is refused", engine.ask("GET", "/v1/events?after=x")[0] == 400)
        check("for a person they are lines", "HF-E-404" in engine.holdfast("events"))
        check("the log has them with their codes", "HF-E-401 " in engine.log.read_text(), engine.log.read_text())
        check("the engine ends in order", engine.stop() == 0)
    finish()


main()
