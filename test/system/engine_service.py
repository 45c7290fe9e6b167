#!/usr/bin/env python3
"""The engine as a service of systemd: a socket of the test's own takes systemd's place (NOTIFY_SOCKET), and hears what it would."""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from lone_engine import BUILD, LoneEngine, check, comes_true, finish

WATCHDOG_SECONDS = 1


class Manager:
    """What was said, and when."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        while True:
            try:
                self.heard += [(time.monotonic(), line) for line in self.socket.recv(4096).decode().splitlines()]
            except BlockingIOError:
                return self.heard

    def hears(self, word, seconds=20):
        return comes_true(lambda: any(line.split("=")[0] == word or line == word for _, line in self.listen()), seconds)

    def forget(self):
        self.listen()
        self.heard = []


def life(manager, address):
    with LoneEngine(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)}) as engine:
        check("it says when it is ready", manager.hears("READY=1"), manager.heard)
        first = next(index for index, (_, line) in enumerate(manager.heard) if line == "READY=1")
        check("  and nothing of a reload before", not any(line.startswith("RELOADING") for _, line in manager.heard[:first]), manager.heard)
        manager.forget()
        time.sleep(3 * WATCHDOG_SECONDS)
        pings = [when for when, line in manager.listen() if line == "WATCHDOG=1"]
        check("it says that it is alive, more often than it must", 4 <= len(pings) <= 12, manager.heard)

        engine.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        manager.forget()
        time.sleep(2 * WATCHDOG_SECONDS)
        check("it does not while it hangs", manager.listen() == [], manager.heard)
        engine.process.send_signal(signal.SIGCONT)
        check("and again when it goes on", manager.hears("WATCHDOG=1"), manager.heard)

        manager.forget()
        engine.process.send_signal(signal.SIGHUP)
        manager.hears("READY=1")
        said = [line.split("=")[0] for _, line in manager.listen() if line != "WATCHDOG=1"]
        check("a reload is told, with its moment, and its end", said == ["RELOADING", "MONOTONIC_USEC", "READY"], said)
        manager.forget()
        engine.config.write_text("name = 7\n")
        engine.process.send_signal(signal.SIGHUP)
        check("one that fails ends as well", manager.hears("READY=1"), manager.heard)
        manager.forget()
        check("it ends in order", engine.stop() == 0)
        check("and says so before", manager.hears("STOPPING=1", 1), manager.heard)


def not_for_us():
    """A watchdog that is another process's, and a manager that is not there."""
    with LoneEngine(environment={"NOTIFY_SOCKET": "/nowhere/socket", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}) as engine:
        check("an engine that nobody listens to works", engine.ask("GET", "/v1/status")[0] == 200)
        check("and ends", engine.stop() == 0)


def unit():
    path = BUILD / "packaging/systemd/holdfastd.service"
    check("the unit is made by the build", path.exists(), path)
    text = path.read_text()
    check("it names no place that is still to be filled in", "@" not in text, text)
    if not Path("/usr/bin/systemd-analyze").exists():
        print("skip systemd-analyze is not here")
        return
    with tempfile.TemporaryDirectory() as place:
        # The program need not be installed for the unit to be right.
        copy = Path(place) / "holdfastd.service"
        copy.write_text("".join(f"ExecStart={BUILD}/replicator/holdfastd\n" if line.startswith("ExecStart=") else line for line in text.splitlines(keepends=True)))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if "holdfastd" in line]
        check("systemd takes it", not complaints, complaints)


def main():
    with tempfile.TemporaryDirectory() as place:
        manager = Manager(f"{place}/notify")
        life(manager, f"{place}/notify")
        abstract = Manager(f"\0holdfast-test-{os.getpid()}")
        with LoneEngine(environment={"NOTIFY_SOCKET": f"@holdfast-test-{os.getpid()}"}) as engine:
            check("a socket without a file is heard as well", abstract.hears("READY=1"), abstract.heard)
            time.sleep(0.5)
            check("nobody is told of a life that he does not watch", not any(line == "WATCHDOG=1" for _, line in abstract.listen()), abstract.heard)
    not_for_us()
    unit()
    finish()


main()
