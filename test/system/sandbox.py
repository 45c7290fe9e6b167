#!/usr/bin/env python3
"""A store service that somebody has taken over, and what it can reach.

`exploited_store` is the store service with an attacker in it (sandbox_attack.cc), who tries in one thread of the running service all that
would help. It serves a replica; beside it on the same file system lie a secret, the source's store and a program that sleeps.

    without confinement   the tries work, which shows that they are tries
    in the service        each is refused, nothing outside has changed, and the service goes on: applies, shows the past, restores
"""
import ctypes
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
from replica_store import BUILD, Host, differences, lasting_differences, wait_until
from verdict import check, ended, failures

ATTACKED = BUILD / "test/system/exploited_store"
KEPT = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "fowner": 3, "fsetid": 4, "sys_admin": 21, "mknod": 27, "setfcap": 31}
OF_THE_DOOR = {"dac_override": 1, "dac_read_search": 2, "sys_admin": 21}
# Without confinement these may fail all the same: a kernel without the feature, a lock of the host.
MAY_FAIL = {"user-faults", "perf", "keys", "io-uring", "bpf", "packets", "sysrq", "module", "read-disk", "terminal", "host-namespace", "own-memory-by-proc", "by-hard-link"}
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

    def environment(self, other, socket, store=None):
        disk = os.stat(self.outside).st_dev
        stack = next(line for line in open(f"/proc/{self.sibling.pid}/maps") if "[stack]" in line).split("-")[0]
        return {"HOLDFAST_ATTACK_" + key: str(value) for key, value in {
            "SECRET": self.secret, "DIRECTORY": self.outside, "OTHER": other, "STORE": store or self.store, "PID": self.sibling.pid, "ADDRESS": stack,
            "SOCKET": socket, "DISK": disk, "SECRET_HANDLE": handle_of(self.secret), "OTHER_HANDLE": handle_of(other),
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


def every_try_fails(found, known):
    tried = {name: error for name, error in found.items() if name != "end"}
    by_door = {name for name in tried if name.startswith("door:")}
    check("the attacker tried all, in the service as without", "end" not in found and found or known - {"end"} - set(tried))
    worked = sorted(name for name, error in tried.items() if error == 0)
    check(f"each of {len(tried)} tries is refused", worked)
    check("the doorkeeper was asked", len(by_door) < 7 and by_door)
    by_reconnector = {name for name in tried if name.startswith("reconnected:")}
    check("what finds directories was asked", len(by_reconnector) != 3 and by_reconnector)


def helpers(pid):
    """The processes that work for the service, by their names."""
    return {open(f"/proc/{child}/comm").read().strip(): int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split()}


def what_it_has(pid, door, reconnector, replica):
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
        if to.startswith("/") and not to.startswith((str(replica.store), "/holdfast-handles", "/dev/null")) and int(fd) > 2:
            leads[fd] = to
    check("no descriptor leads out of the store", leads)
    mounts = [line.split()[4] for line in open(f"/proc/{pid}/mountinfo")]
    check("it sees nothing mounted but its store and /proc", [place for place in mounts if place not in ("/", "/proc", "/holdfast-handles", str(replica.store))])


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
    check("the attacked one has", b"HOLDFAST_ATTACK" not in ATTACKED.read_bytes() and "it has not")
    installs = [str(script) for script in BUILD.rglob("cmake_install.cmake") if "exploited_store" in script.read_text()]
    check("the attacked one is not installed", installs)


def make_tree(live):
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
    subprocess.run([BUILD / "test/system/ship_journal", source.store, replica.store, "--only-make"], env=replica.environment, check=False, stdout=log, stderr=log)
    service, socket = start(replica, source, scene, log)
    shipper = subprocess.Popen([BUILD / "test/system/ship_journal", source.store, replica.store], env=replica.environment, stdout=log, stderr=log)
    try:
        check("the replica follows", not wait_until(lambda: replica.status().get("applied") == source.status()["published"]) and replica.status())
        print("     " + replica.status().get("confined", "status says nothing of confinement"), flush=True)
        known = tries_work(scene, work, source.store / "volume.toml", socket)
        working = helpers(service.pid)
        door, reconnector = working["holdfast-door"], working["holdfast-reconn"]
        what_it_has(service.pid, door, reconnector, replica)
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
        make_tree(live)
        source.holdfast("protect", live, "--store", source.store, "--for-replicas", "--journal-max", "128M")
        attack(live, source, replica, work, scene, log)
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
