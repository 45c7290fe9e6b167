"""An engine on its own, without peers and volumes, with state and run directories of its own; and how a test says what it found."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from control import engine
from volume import run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
failures = []


def check(what, is_so, found=""):
    print(f"{'ok  ' if is_so else 'FAIL'} {what}{'' if is_so else ': ' + str(found)[:1500]}", flush=True)
    if not is_so:
        failures.append(what)


def comes_true(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def finish():
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


class LoneEngine:
    def __init__(self, config='name = "alpha"\n', environment={}):
        self.work = Path(tempfile.mkdtemp(prefix="holdfast-engine-"))
        self.config, self.log, self.socket = self.work / "holdfastd.toml", self.work / "log", self.work / "run/engine.sock"
        self.environment = dict(os.environ, HOLDFAST_STATE_DIR=str(self.work / "state"), HOLDFAST_RUN_DIR=str(self.work / "run"), **environment)
        self.config.write_text(config)
        (self.work / "state").mkdir()
        self.process = None

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BUILD / "replicator/holdfastd", "--config", self.config], env=self.environment, stdout=log, stderr=log)
        if not comes_true(self.answers):
            said = self.log.read_text()
            self.__exit__()
            raise SystemExit(f"the engine does not answer: {said}")
        return self

    def answers(self):
        try:
            return self.ask("GET", "/v1/status")[0] == 200
        except OSError:
            return False

    def ask(self, method, target, body=None):
        return engine(self.socket, method, target, body)

    def holdfast(self, *words):
        return run(BUILD / "tools/holdfast", *words, env=self.environment)

    def events(self, after=0):
        return json.loads(self.holdfast("events", "--after", after, "--json"))["events"]

    def stop(self):
        """The exit status after SIGTERM."""
        self.process.terminate()
        return self.process.wait(40)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.work, ignore_errors=True)
