#!/usr/bin/env python3
"""A store service that somebody has taken over, and what it can reach.

`exploited_store` is the store service with an attacker in it (sandbox_attack.cc), who tries in one thread of the running service all that
would help. It serves a replica, and then a mounted directory; `exploited_capture` is the helper of a mount with the same attacker in its worker. Beside it on the same file system lie a secret, another store or the files of the directory
itself, and a program that sleeps.

    without confinement   the tries work, which shows that they are tries
    in the service        each is refused, nothing outside has changed, and the service goes on: applies, shows the past, restores, rewinds
"""
import ctypes
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import ask
from replica_store import BUILD, Host, differences, lasting_differences, wait_until
from verdict import check, ended, failures

ATTACKED = BUILD / "test/system/exploited_store"
CAPTURED = BUILD / "test/system/exploited_capture"
KEPT = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "fowner": 3, "fsetid": 4, "sys_admin": 21, "mknod": 27, "setfcap": 31}
OF_THE_DOOR = {"dac_override": 1, "dac_read_search": 2, "sys_admin": 21}
OF_CAPTURE = dict(KEPT, setgid=6, setuid=7, setpcap=8, linux_immutable=9, ipc_lock=14, sys_ptrace=19, sys_resource=24, mac_admin=33)
# What a capture worker can do all the same: open what root may open, and be another user for its files.
LEFT_TO_CAPTURE = {"proc-memory", "proc-environment", "proc-root", "proc-directory", "mode-by-proc-root", "own-memory-by-proc", "shared-memory", "sysrq", "settings",
                   "own-namespace", "user"}
# Without confinement these may fail all the same: a kernel without the feature, a lock of the host; only an engine has a ring.
MAY_FAIL = {"user-faults", "perf", "keys", "io-uring", "bpf", "packets", "sysrq", "module", "read-disk", "terminal", "host-namespace", "own-memory-by-proc", "by-hard-link",
            "above-any-descriptor", "write-by-any-descriptor", "mode-by-any-descriptor", "rings"}
SECRET = b"the secret of another service\n"


def handle_of(path):
    """As the kernel's handle in text: its type and its bytes."""
    buffer = bytearray(struct.pack("Ii", 128, 0) + bytes(128))
    view = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    mount = ctypes.c_int()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.name_to_handle_at(-100, os.fsencode(path), view, ctypes.byref(mount), 0) != 0:
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    size, kind = struct.unpack_from("Ii", buffer)
    return f"{kind} {bytes(buffer[8:8 + size]).hex()}"


def state_of(path):
    status = os.lstat(path)
    return (open(path, "rb").read(), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_nlink, os.listxattr(path))


def status_line(pid, key):
    return re.search(rf"^{key}:\s*(\S+)", open(f"/proc/{pid}/status").read(), re.M).group(1)


def capabilities(pid, key="CapEff"):
    return int(status_line(pid, key), 16)


class Scene:
    """Around the attacker."""

    def __init__(self, work, store):
        self.outside = work / "outside"
        self.outside.mkdir()
        self.secret = self.outside / "secret"
        self.secret.write_bytes(SECRET)
        os.chmod(self.secret, 0o600)
        self.before = state_of(self.secret)
        self.sibling = subprocess.Popen(["sleep", "600"])
        self.store = store

    def environment(self, other, socket, store=None, handle=None):
        disk = os.stat(self.outside).st_dev
        stack = next(line for line in open(f"/proc/{self.sibling.pid}/maps") if "[stack]" in line).split("-")[0]
        return {"HOLDFAST_ATTACK_" + key: str(value) for key, value in {
            "SECRET": self.secret, "DIRECTORY": self.outside, "OTHER": other, "STORE": store or self.store, "PID": self.sibling.pid, "ADDRESS": stack,
            "SOCKET": socket, "DISK": disk, "SECRET_HANDLE": handle_of(self.secret), "OTHER_HANDLE": handle or handle_of(other),
            "DIRECTORY_HANDLE": handle_of(self.outside)}.items()}

    def reset(self):
        for path in set(self.outside.iterdir()) - {self.secret}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.secret.write_bytes(SECRET)
        os.chmod(self.secret, 0o600)
        os.chown(self.secret, 0, 0)
        for name in os.listxattr(self.secret):
            os.removexattr(self.secret, name)
        self.before = state_of(self.secret)

    def end(self):
        self.sibling.kill()
        self.sibling.wait()


def report(path):
    lines = [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []
    return {" ".join(words[:-1]): int(words[-1]) for words in lines}


def tries_work(scene, work, other, socket):
    """The same tries by the same program that has given nothing up."""
    place = work / "bare"
    (place / "image").mkdir(parents=True)
    done = subprocess.run([ATTACKED], env=dict(os.environ, HOLDFAST_ATTACK_BARE="1", **scene.environment(other, socket, place)), capture_output=True, timeout=30)
    found = report(place / "report")
    check("without confinement the attacker is done", (done.returncode or "end" not in found) and (done, found))
    failed = {name for name, error in found.items() if error and name not in MAY_FAIL}
    check("without confinement the tries work", failed and {name: os.strerror(found[name]) for name in failed})
    scene.reset()
    return set(found)


def every_try_fails(found, known, of_capture=0):
    tried = {name: error for name, error in found.items() if name != "end"}
    by_door = {name for name in tried if name.startswith("door:")}
    check("the attacker tried all, in the service as without", "end" not in found and found or known - {"end"} - set(tried))
    worked = sorted(name for name, error in tried.items() if error == 0)
    check(f"each of {len(tried)} tries is refused", worked)
    check("the doorkeeper was asked", len(by_door) < 7 and by_door)
    by_reconnector = {name for name in tried if name.startswith("reconnected:")}
    check("what finds directories was asked", len(by_reconnector) != 3 and by_reconnector)
    by_capture = {name for name in tried if name.startswith("heal:")}
    check("capture was asked, where it runs", len(by_capture) != of_capture and by_capture)


def helpers(pid):
    """The processes that work for the service, by their names."""
    return {open(f"/proc/{child}/comm").read().strip(): int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split()}


def what_it_has(pid, door, reconnector, store):
    wanted = sum(1 << number for number in KEPT.values())
    for key in ("CapEff", "CapPrm", "CapBnd"):
        check(f"{key} is {', '.join(KEPT)}", capabilities(pid, key) != wanted and f"{capabilities(pid, key):x}, wanted {wanted:x}")
    door_wanted = sum(1 << number for number in OF_THE_DOOR.values())
    check(f"the doorkeeper has {', '.join(OF_THE_DOOR)}", capabilities(door) != door_wanted and f"{capabilities(door):x}")
    check("what finds directories has dac_read_search", capabilities(reconnector) != 1 << KEPT["dac_read_search"] and f"{capabilities(reconnector):x}")
    open_there = {fd: os.readlink(f"/proc/{reconnector}/fd/{fd}") for fd in os.listdir(f"/proc/{reconnector}/fd")}
    wrong = [to for fd, to in open_there.items() if int(fd) > 2 or (int(fd) < 2 and not to.startswith(("socket:", "/holdfast-handles")))]
    check("what finds directories has nothing open but its channel, the mount and the last directory", wrong and open_there)
    for process, who in ((pid, "the service"), (door, "the doorkeeper"), (reconnector, "what finds directories")):
        check(f"{who} gets no new privileges and is filtered", [status_line(process, "NoNewPrivs"), status_line(process, "Seccomp")] != ["1", "2"] and open(f"/proc/{process}/status").read())
    for thread in os.listdir(f"/proc/{pid}/task"):
        if status_line(f"{pid}/task/{thread}", "Seccomp") != "2":
            check(f"thread {thread} is filtered", "it is not")
    leads = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        to = os.readlink(f"/proc/{pid}/fd/{fd}")
        if to.startswith("/") and not to.startswith((str(store), "/holdfast-handles", "/dev/null")) and int(fd) > 2:
            leads[fd] = to
    check("no descriptor leads out of the store", leads)
    mounts = [line.split()[4] for line in open(f"/proc/{pid}/mountinfo")]
    check("it sees nothing mounted but its store and /proc", [place for place in mounts if place not in ("/", "/proc", "/holdfast-handles", str(store))])


def goes_on(live, source, replica, work):
    """Applies what comes, also to files whose names the kernel has forgotten; mounts and restores where a person wants."""
    (live / "tree/file7").write_bytes(b"changed after the attack")
    os.utime(live / "tree/link", ns=(1, 2), follow_symlinks=False)
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("2")
    for number in range(0, 300, 7):
        with open(live / f"tree/file{number}", "ab") as stream:
            stream.write(b"more")
    source.holdfast("wait", live)
    caught_up = lambda: replica.status().get("applied") == source.status()["published"]
    check("the service applies what comes", not wait_until(caught_up) and replica.status())
    check("the image equals the directory", lasting_differences(live, replica.store / "image"))
    Path("/proc/sys/vm/drop_caches").write_text("2")
    past = work / "past"
    past.mkdir()
    replica.holdfast("mount-past", replica.store, past)
    check("the past is mounted where a person wants it, and reads", differences(live, past / "@now"))
    replica.holdfast("umount-past", past)
    replica.holdfast("restore", replica.store, "--at", "now", "--to", work / "restored")
    check("a restore reaches its destination", differences(live, work / "restored"))
    check("nothing stays bound", [line for line in open("/proc/self/mountinfo") if "handed-in" in line])
    verified = replica.tried(BUILD / "tools/holdfast", "verify", replica.store)
    check("the store verifies", verified.returncode and verified.stdout + verified.stderr)


def no_hook_is_installed():
    programs = [BUILD / name for name in ("rewind/holdfast-store", "replicator/holdfastd", "tools/holdfast", "fusefs/mount.fuse.holdfast")]
    having = [str(program) for program in programs if program.exists() and b"HOLDFAST_ATTACK" in program.read_bytes()]
    check("no program of the product has the attacker in it", having)
    check("the attacked ones have", [program for program in (ATTACKED, CAPTURED) if b"HOLDFAST_ATTACK" not in program.read_bytes()])
    installs = [str(script) for script in BUILD.rglob("cmake_install.cmake") if "exploited_" in script.read_text()]
    check("the attacked one is not installed", installs)


def make_tree(live):
    """In an empty directory that is protected, so that the journal tells all of it."""
    os.chmod(live, 0o755)
    (live / "tree").mkdir()
    for number in range(300):
        (live / f"tree/file{number}").write_bytes(f"{number} ".encode() * (number * 7))
    (live / "tree/link").symlink_to("/etc/shadow")
    os.mkfifo(live / "tree/fifo")
    os.mknod(live / "tree/null", 0o600 | 0o020000, os.makedev(1, 3))


def start(replica, source, scene, log):
    environment = dict(replica.environment, **scene.environment(source.store / "volume.toml", Path(source.environment["HOLDFAST_RUN_DIR"]) / "none"))
    sockets = sorted(Path(source.environment["HOLDFAST_RUN_DIR"]).rglob("store.sock"))
    environment["HOLDFAST_ATTACK_SOCKET"] = str(sockets[0])
    # As an engine starts it; otherwise umount-past would end it.
    end, scene.keep_open = os.pipe()
    service = subprocess.Popen([ATTACKED, "run", replica.store, "--until-eof", str(end)], env=environment, stderr=log, pass_fds=[end])
    os.close(end)
    return service, str(sockets[0])


def attack(live, source, replica, work, scene, log):
    service, socket = start(replica, source, scene, log)
    shipper = subprocess.Popen([BUILD / "test/system/ship_journal", source.store, replica.store], env=replica.environment, stdout=log, stderr=log)
    try:
        check("the replica follows", not wait_until(lambda: replica.status().get("applied") == source.status()["published"]) and replica.status())
        print("     " + replica.status().get("confined", "status says nothing of confinement"), flush=True)
        known = tries_work(scene, work, source.store / "volume.toml", socket)
        working = helpers(service.pid)
        door, reconnector = working["holdfast-door"], working["holdfast-reconn"]
        what_it_has(service.pid, door, reconnector, replica.store)
        with open(scene.secret, "rb"), open(source.store / "volume.toml", "rb"):  # the kernel knows their names, which is better for the attacker
            service.send_signal(signal.SIGUSR1)
            wait_until(lambda: "end" in report(replica.store / "report"), 20)
        every_try_fails(report(replica.store / "report"), known)
        check("the secret is as it was", state_of(scene.secret) != scene.before and (state_of(scene.secret), scene.before))
        check("nothing was made outside", sorted(os.listdir(scene.outside)) != ["secret"] and os.listdir(scene.outside))
        check("the service lives", service.poll())
        goes_on(live, source, replica, work)
    finally:
        for child in (shipper, service):
            child.terminate()
        for child in (shipper, service):
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    left = [pid for pid in (door, reconnector) if os.path.exists(f"/proc/{pid}")]
    check("the service ends in order, and what works for it ends with it", (service.returncode or left) and (service.returncode, left))
    return known


class Mounted(Host):
    """A directory that is mounted, whose store service has the attacker in it."""

    def __init__(self, work, scene):
        super().__init__(work, "mounted", work / "mounted-store")
        self.live, self.scene = work / "mounted", scene
        self.live.mkdir()
        self.other = self.live / "of-the-application"
        self.other.write_bytes(SECRET)
        os.chmod(self.other, 0o600)
        # Beneath the mount, where no path leads any more.
        handle = handle_of(self.other)
        self.environment.update(scene.environment(self.other, work / "none", self.store, handle), HOLDFAST_STORE_BIN=str(ATTACKED))
        self.work = work

    def protect(self):
        self.holdfast("protect", self.live, "--store", self.store, "--journal-max", "128M")

    def nothing_changed(self, before):
        check("the secret is as it was", state_of(self.scene.secret) != self.scene.before and (state_of(self.scene.secret), self.scene.before))
        check("the directory is as it was", state_of(self.other) != before and (state_of(self.other), before))
        check("nothing was made outside", sorted(os.listdir(self.scene.outside)) != ["secret"] and os.listdir(self.scene.outside))

    def compared(self, known, other):
        """The first copy with the attacker in it, who tries for the files of another store: those of the directory it may read."""
        before, environment = state_of(self.other), dict(self.environment)
        self.environment.update(self.scene.environment(other, self.work / "none", self.store), HOLDFAST_ATTACK_COMPARISON="1")
        with open(self.scene.secret, "rb"), open(other, "rb"):
            self.protect()
        check("the comparison is confined", "with its image is confined by" not in (self.store / "log").read_text() and (self.store / "log").read_text())
        every_try_fails(report(self.store / "report"), known)
        check("what was copied is the directory", differences(self.live, self.store / "image"))
        self.holdfast("unprotect", self.live)
        self.nothing_changed(before)
        (self.store / "report").unlink()
        self.environment = environment

    def status(self):
        return json.loads(self.holdfast("status", self.live, "--json"))["volumes"][0]

    def attacked(self, known):
        pid = ask(next(Path(self.environment["HOLDFAST_RUN_DIR"]).rglob("store.sock")), {"verb": "status"})["pid"]
        working = helpers(pid)
        what_it_has(pid, working["holdfast-door"], working["holdfast-reconn"], self.store)
        before = state_of(self.other)
        with open(self.scene.secret, "rb"), open(self.other, "rb"):
            os.kill(pid, signal.SIGUSR1)
            wait_until(lambda: "end" in report(self.store / "report"), 20)
        every_try_fails(report(self.store / "report"), known, 5)
        self.nothing_changed(before)

    def goes_on(self, work):
        make_tree(self.live)
        self.holdfast("bookmark", "create", "made", "--volume", self.live)
        copy = work / "made"
        subprocess.run(["cp", "-a", self.live, copy], check=True)
        for number in range(0, 300, 3):
            (self.live / f"tree/file{number}").unlink()
        (self.live / "tree/link").unlink()
        shutil.rmtree(self.live / "tree", ignore_errors=True)
        self.holdfast("rewind", self.live, "--to", "made", "--yes")
        check("a rewind reaches the directory", differences(copy, self.live))
        self.holdfast("restore", self.live / "tree", "--at", "made", "--to", work / "restored-tree")
        check("a restore reaches its destination", differences(copy / "tree", work / "restored-tree"))
        past = work / "past-of-mounted"
        past.mkdir()
        self.holdfast("mount-past", self.live, past)
        check("the past is mounted where a person wants it, and reads", differences(copy, past / "@made"))
        self.holdfast("umount-past", past)
        check("nothing stays bound", [line for line in open("/proc/self/mountinfo") if "handed-in" in line])


def mounted(work, scene, known, other):
    host = Mounted(work, scene)
    try:
        host.compared(known, other)
        host.protect()
        print("     " + (host.status()["confined"] or "status says nothing of confinement"), flush=True)
        host.attacked(known)
        host.goes_on(work)
    finally:
        if os.path.ismount(host.live):
            host.holdfast("unprotect", host.live)
        if failures:
            print((host.store / "log").read_text(errors="replace")[-4000:])
    verified = host.tried(BUILD / "tools/holdfast", "verify", host.store)
    check("the store of the mounted directory verifies", verified.returncode and verified.stdout + verified.stderr)


class Captured(Host):
    """A directory whose capture worker has the attacker in it."""

    def __init__(self, work, scene):
        super().__init__(work, "captured", work / "captured-store")
        self.live, self.scene, self.work = work / "captured", scene, work
        self.live.mkdir()
        self.environment.update(scene.environment(scene.secret, work / "none", self.store), HOLDFAST_MOUNT_BIN=str(CAPTURED), HOLDFAST_ATTACK_CALLS_ONLY="1")

    def worker(self):
        return ask(next(Path(self.environment["HOLDFAST_RUN_DIR"]).rglob("capture.sock")), {"verb": "status"})

    def what_it_has(self, pid):
        # Of these what this host gives its root.
        wanted = f"{sum(1 << number for number in OF_CAPTURE.values()) & capabilities('self', 'CapBnd'):x}"
        wrong = {}
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                has = [f"{capabilities(f'{pid}/task/{thread}', key):x}" for key in ("CapPrm", "CapBnd")] + [status_line(f"{pid}/task/{thread}", key) for key in ("NoNewPrivs", "Seccomp")]
            except FileNotFoundError:
                continue  # one that saves the evidence of a takeover
            if has != [wanted, wanted, "1", "2"]:
                wrong[thread] = has
        check(f"each thread of capture has {', '.join(OF_CAPTURE)}, no new privileges and a filter", wrong and (wrong, wanted))
        check("nobody but root with all its rights looks into capture", os.stat(f"/proc/{pid}/mem").st_uid and "it belongs to a user")

    def attacked(self, known):
        pid = self.worker()["pid"]
        self.what_it_has(pid)
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: "end" in report(self.store / "report"), 20)
        found = report(self.store / "report")
        tried = set(found) - {"end"}
        check("the attacker tried all calls", "end" not in found and found or not tried <= known or len(tried) < 40 and tried)
        worked = {name for name in tried if found[name] == 0}
        check(f"of {len(tried)} tries in capture none is more than what a file name or a caller's identity gives", worked - LEFT_TO_CAPTURE and sorted(worked - LEFT_TO_CAPTURE))

    def goes_on(self):
        make_tree(self.live)
        before = self.worker()["pid"]
        os.kill(before, signal.SIGKILL)
        (self.live / "tree/after").write_bytes(b"by another worker")
        check("another worker takes over", not wait_until(lambda: self.worker()["pid"] != before) and self.worker())
        self.what_it_has(self.worker()["pid"])
        os.utime(self.live)  # when names changed in it last may have died with the worker
        self.holdfast("wait", self.live)
        check("what is done through it is recorded", lasting_differences(self.live, self.store / "image"))


def captured(work, scene, known):
    host = Captured(work, scene)
    host.holdfast("protect", host.live, "--store", host.store, "--journal-max", "128M")
    try:
        print("     " + (json.loads(host.holdfast("status", host.live, "--json"))["volumes"][0]["capture_confined"] or "status says nothing of capture's confinement"), flush=True)
        host.attacked(known)
        host.goes_on()
    finally:
        if os.path.ismount(host.live):
            host.holdfast("unprotect", host.live)
        if failures:
            print((host.store / "log").read_text(errors="replace")[-4000:])


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    work = Path(tempfile.mkdtemp(prefix="sandbox-", dir=BUILD)).resolve()
    live = work / "live"
    live.mkdir()
    source, replica = Host(work, "source", work / "source"), Host(work, "replica", work / "replica")
    scene = Scene(work, replica.store)
    log = open(work / "log", "w+")
    try:
        no_hook_is_installed()
        source.holdfast("protect", live, "--store", source.store, "--journal-max", "128M")
        subprocess.run([BUILD / "test/system/ship_journal", source.store, replica.store, "--only-make"], env=replica.environment, check=False, stdout=log, stderr=log)
        make_tree(live)
        known = attack(live, source, replica, work, scene, log)
        mounted(work, scene, known, source.store / "volume.toml")
        captured(work, scene, known)
    finally:
        scene.end()
        if os.path.ismount(live):
            source.holdfast("unprotect", live)
        if failures:
            print(open(log.name).read()[-4000:])
        shutil.rmtree(work, ignore_errors=True)
    ended()


if __name__ == "__main__":
    main()
