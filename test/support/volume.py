"""A protected directory for tests and benchmarks in Python, those it is compared with, and the command that drives it."""
import json
import os
import shutil
import subprocess
import time

from control import ask


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} exits {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


class Mounts:
    """bare, null and protected directories under WORK, mounted on entry, unmounted and removed on exit."""

    def __init__(self, work, build, kinds=("bare", "null", "protected")):
        self.work, self.build, self.kinds = work, build, kinds
        self.directories = {kind: work / kind for kind in kinds}
        self.store = work / "store"
        self.environment = dict(os.environ, HOLDFAST_STATE_DIR=str(work / "state"), HOLDFAST_RUN_DIR=str(work / "run"),
                                HOLDFAST_STORE_BIN=str(build / "rewind/holdfast-store"),
                                HOLDFAST_MOUNT_BIN=str(build / "fusefs/mount.fuse.holdfast"))

    def holdfast(self, *arguments):
        return run(self.build / "tools/holdfast", *arguments, env=self.environment)

    def status(self):
        answer = json.loads(self.holdfast("status", self.directories["protected"], "--json"))
        return answer["volumes"][0] if "volumes" in answer else answer

    def settle(self):
        """Waits until everything written is applied, so that one measurement does not pay for another."""
        os.sync()
        self.holdfast("wait", self.directories["protected"])

    def __enter__(self):
        for directory in self.directories.values():
            directory.mkdir()
        try:
            if "null" in self.kinds:
                run(self.build / "fusefs/mount.fuse.holdfast", self.directories["null"], self.directories["null"], "-o", "null_filter",
                    env=self.environment)
            self.holdfast("protect", self.directories["protected"], "--store", self.store)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if os.path.ismount(self.directories["protected"]):
            self.holdfast("unprotect", self.directories["protected"])
        if "null" in self.kinds and os.path.ismount(self.directories["null"]):
            run("umount", self.directories["null"])
            time.sleep(0.5)
        for directory in [*self.directories.values(), self.store, self.work / "state", self.work / "run"]:
            shutil.rmtree(directory, ignore_errors=True)


def cpu_seconds(pid):
    """CPU that a process has used so far, all its threads together."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def control(mounts, socket_name, request):
    """One request to a control socket of the protected volume."""
    return ask(next((mounts.work / "run").iterdir()) / socket_name, request)
