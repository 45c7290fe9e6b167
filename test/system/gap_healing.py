#!/usr/bin/env python3
"""A gap ends while the directory is in use (docs/decisions/0014).

The store service is stopped until the journal is full and nothing is recorded any more, while a load makes, writes, renames, links,
cuts, marks and removes. It is let go; the gap ends under the load, without an unmount. From then on every moment is what the directory was,
none inside of the gap is offered, and what was compared is what was touched and not the tree.

Then the store service and the capture worker are killed at random instants of gaps and of their healing: the moments that are offered afterwards
are right, whatever became of the gap.

    test/system/gap_healing.py [ROUNDS [SEED]]
"""
import contextlib
import ctypes
import errno
import json
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import connected
from verdict import check, ended
from volume import Mounts, control, run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
STILL = 3000  # files that nobody touches
FILL = 40  # MiB


class Load(threading.Thread):
    """Changes of every kind below TREE/busy; remembers what it touched."""

    def __init__(self, tree, seed, pause=0.001):
        super().__init__(daemon=True)
        self.top, self.dice, self.pause, self.seed = tree / "busy", random.Random(seed), pause, seed
        self.ending, self.error, self.steps, self.touched, self.held = threading.Event(), "", 0, set(), []

    def run(self):
        try:
            self.top.mkdir(exist_ok=True)
            while not self.ending.is_set():
                self.step()
                time.sleep(self.pause)
        except Exception as error:
            self.error = repr(error)

    def directory(self):
        found = [Path(place) for place, _, _ in os.walk(self.top)]
        return self.dice.choice(found)

    def file(self):
        place = self.directory()
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        return place / self.dice.choice(names) if names else None

    def note(self, *paths):
        for path in paths:
            self.touched |= {path, path.parent}

    def step(self):
        self.steps += 1
        kind, path = self.dice.randrange(16), self.file()
        new = self.directory() / f"n{self.seed}-{self.steps}"
        if path is None or kind < 4:
            new.write_bytes(self.dice.randbytes(self.dice.randrange(60000)))
            return self.note(new)
        self.note(path, new)
        if kind < 7:
            with open(path, "r+b") as stream:
                stream.seek(self.dice.randrange(200000))
                stream.write(self.dice.randbytes(self.dice.randrange(1, 9000)))
        elif kind == 7:
            os.truncate(path, self.dice.randrange(100000))
        elif kind == 8:
            os.rename(path, new if self.dice.randrange(2) else self.file() or new)
        elif kind == 9:
            os.link(path, new)
        elif kind == 10:
            os.unlink(path)
        elif kind == 11:
            os.setxattr(path, f"user.m{self.dice.randrange(3)}", self.dice.randbytes(self.dice.randrange(1, 90)))
            os.chmod(path, self.dice.choice((0o600, 0o644, 0o4755)))
        elif kind == 12:
            self.directories(new)
        elif kind == 13:
            run("fallocate", "--punch-hole", "-o", 4096, "-l", 16384, path)
        elif kind == 14:
            new.symlink_to(f"to/{self.steps}")
        else:
            self.nameless(path)

    def directories(self, new):
        below = [place for place in self.top.rglob("*") if place.is_dir() and not place.is_symlink() and place not in new.parents]
        if len(below) < 6:
            return (new.mkdir(), os.setxattr(new, "user.of", b"directory"))
        moved, goal = self.dice.choice(below), self.dice.choice(below)
        if self.dice.randrange(3) == 0:
            subprocess.run(["rm", "-rf", moved], check=True)
        elif goal != moved and moved not in goal.parents:
            os.rename(moved, goal / new.name)
            self.note(goal / new.name)
        self.note(moved)

    def nameless(self, path):
        """Open files that lose their names or never had one, written to until they are closed."""
        if self.dice.randrange(3) == 0:
            fd = os.open(self.top, os.O_TMPFILE | os.O_RDWR)
            os.write(fd, self.dice.randbytes(3000))
            self.held.append(fd)
        elif len(self.held) < 4:
            self.held.append(os.open(path, os.O_RDWR))
            os.unlink(path)
        else:
            fd = self.held.pop(self.dice.randrange(len(self.held)))
            os.pwrite(fd, b"still open", self.dice.randrange(90000))
            if self.dice.randrange(2) == 0 and os.fstat(fd).st_nlink == 0:
                try:
                    os.link(f"/proc/self/fd/{fd}", self.top / f"t{self.seed}-{self.steps}", follow_symlinks=True)
                except OSError:
                    pass  # a file that had a name once gets none again
            os.close(fd)

    def finish(self):
        self.ending.set()
        self.join()
        for fd in self.held:
            os.close(fd)
        check("the application noticed nothing", self.error)


class Volume(Mounts):
    def __enter__(self):
        tree = self.directories["protected"]
        tree.mkdir()
        for number in range(STILL):
            place = tree / "still" / f"d{number % 40}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"f{number}").write_bytes(b"%d" % number * 50)
        self.protect()
        self.tree = tree
        return self

    def protect(self):
        self.holdfast("protect", self.directories["protected"], "--store", self.store, "--journal-max", "16M", "--full-policy", "stop-protection")

    def ask(self, socket):
        return control(self, socket, {"verb": "status"})

    def gap(self):
        return self.ask("capture.sock")["gap"]

    def store_pid(self):
        return self.ask("store.sock")["pid"]

    def log_tail(self):
        return (self.store / "log").read_text(errors="replace")[-3000:]


def until(what, condition, seconds=30):
    """Nothing, or a sentence."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return None
        except (OSError, ValueError, KeyError, SystemExit) as error:
            last = error
        time.sleep(0.02)
    return f"{what}: not within {seconds} s ({last})"


def differences(left, right, attributes="X"):
    return run("rsync", f"-naHA{attributes}", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", f"{left}/", f"{right}/").strip()


def compare(volume, what, name):
    """The bookmark NAME, made now while nothing changes, is the directory."""
    volume.holdfast("bookmark", "create", name, "--volume", volume.tree)
    volume.settle()
    # Without extended attributes, among which the image keeps its own; the moment has them.
    check(f"{what}: the image equals the directory", differences(volume.tree, volume.store / "image", ""))
    past = volume.work / "past"
    past.mkdir(exist_ok=True)
    volume.holdfast("mount-past", volume.tree, past)
    try:
        check(f"{what}: the moment equals the directory", differences(volume.tree, past / f"@{name}"))
    finally:
        volume.holdfast("umount-past", past)


def is_offered(volume, moment):
    done = subprocess.run([str(BUILD / "tools/holdfast"), "ls", str(volume.tree), "--at", moment], capture_output=True, text=True, env=volume.environment)
    return done.returncode == 0, done.stdout + done.stderr


def begin_gap(volume, name):
    """More than the journal holds goes into one file, and more than is compared while everybody waits."""
    pid = volume.store_pid()
    os.kill(pid, signal.SIGSTOP)
    with open(volume.tree / name, "wb") as stream:
        for _ in range(FILL):
            stream.write(os.urandom(1 << 20))
    return pid, until("the gap begins", lambda: volume.gap())


def heals_in_use(volume, seed):
    load = Load(volume.tree, seed)
    load.start()
    time.sleep(1)
    pid, bad = begin_gap(volume, "fill")
    check("a full journal begins a gap", bad)
    load.touched.clear()
    time.sleep(2)
    inside_ns = time.time_ns()
    gap = volume.gap()
    check("it is said that history is paused", "" if gap["state"] == "paused" and gap["objects"] > 0 and 0 < gap["since_ns"] < inside_ns else gap)
    refused = control(volume, "capture.sock", {"verb": "bookmark", "name": "inside"})
    check("no bookmark inside of a gap", "" if refused.get("error", {}).get("code") == "gap" else refused)
    began = time.monotonic()
    os.kill(pid, signal.SIGCONT)
    volume.status()
    check("the gap ends under the load", until("it ends", lambda: volume.gap() is None, 40) and f"{volume.gap()} {volume.log_tail()}")
    took, touched = time.monotonic() - began, len(load.touched)
    time.sleep(1)
    load.finish()
    healed = volume.ask("store.sock").get("healed") or {}
    print(f"touched {touched} paths; healed in {took:.1f} s: {json.dumps(healed)}")
    check("what was touched was compared", "" if 0 < healed.get("objects", 0) <= 4 * touched and healed["objects"] < STILL else f"{healed}, {touched} touched")
    check("what was large was compared while the load went on", "" if healed.get("passes", 0) > 1 else healed)
    check("nobody waited long", "" if healed.get("held_ns_max", 1 << 62) < 5_000_000_000 else healed)
    compare(volume, "after the gap", "after")
    check("the first moment after the gap is offered", "" if is_offered(volume, f"lsn:{healed.get('gap_end')}")[0] else is_offered(volume, f"lsn:{healed.get('gap_end')}"))
    check("a moment inside of the gap is not", is_offered(volume, f"lsn:{healed.get('gap_end', 0) - 8}")[0] and "it is offered")
    inside = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(inside_ns // 10**9))
    check("nor by its time", is_offered(volume, inside)[0] and f"{inside} is offered")
    check("status says that all is well", "" if until("it follows", lambda: volume.status()["state"] == "following", 10) is None else volume.status())


class Healing:
    """Speaks on heal.sock as the store service does (journal/healing.h)."""
    TAKE, LET_GO, PLACES, FILE, ANSWERED = 2, 3, 7, 8, 64
    ITSELF = 0xffffffff

    def __init__(self, volume):
        self.socket = connected(next((volume.work / "run").iterdir()) / "heal.sock")

    def ask(self, verb, body=b""):
        self.socket.sendall(struct.pack("<IB3x", len(body), verb) + body)
        head, fds, _, _ = socket.recv_fds(self.socket, 8, 253)
        length, answer = struct.unpack("<IB3x", head)
        body = b""
        while len(body) < length:
            body += self.socket.recv(length - len(body))
        return body if answer == self.ANSWERED else None, fds

    def places(self, asked):
        """Of each (object, name): a descriptor, or an error number."""
        body, fds = self.ask(self.PLACES, b"".join(struct.pack("<II", *place) for place in asked))
        if body is None:
            return None
        errors, given = [error for error, in struct.iter_unpack("<i", body)], iter(fds)
        return [(next(given), 0) if error == 0 else (None, error) for error in errors]

    def file(self, handle):
        body, fds = self.ask(self.FILE, handle)
        return fds[0] if fds else struct.unpack("<i", body)[0]


def touched_in(body):
    """The objects of a Touched: (handle, names)."""
    at, objects = 0, []

    def take(form):
        nonlocal at
        at += struct.calcsize(form)
        return struct.unpack_from(form, body, at - struct.calcsize(form))

    def text():
        nonlocal at
        size, = take("<I")
        at += size
        return body[at - size:at]

    for _ in range(take("<I")[0]):
        take("<16s")
        handle = text()
        for _ in range(take("<I")[0]):
            take("<QQ")
        objects.append((handle, [text() for _ in range(take("<I")[0])]))
    return objects


def handle_at(fd):
    buffer = (ctypes.c_char * 136).from_buffer(bytearray(struct.pack("Ii", 128, 0) + bytes(128)))
    if ctypes.CDLL(None, use_errno=True).name_to_handle_at(fd, b"", buffer, ctypes.byref(ctypes.c_int()), 0x1000) != 0:
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    return bytes(buffer)[4:8 + struct.unpack_from("I", buffer)[0]]


def refusal(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    return 0


def every_change_fails(fd):
    """Through a place that was shown; what worked."""
    way, mode = f"/proc/self/fd/{fd}", os.fstat(fd).st_mode
    tries = {"owner": lambda: os.chown(way, 1, 1), "times": lambda: os.utime(way, ns=(1, 1))}
    if not stat.S_ISLNK(mode):
        tries["mode"] = lambda: os.chmod(way, 0o777)
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        tries["xattr"] = lambda: os.setxattr(way, "user.shown", b"x")
    if stat.S_ISREG(mode):
        tries["bytes"] = lambda: os.open(way, os.O_WRONLY)
        tries["size"] = lambda: os.truncate(way, 0)
    if stat.S_ISDIR(mode):
        tries["a name"] = lambda: os.mkdir("made", dir_fd=fd)
    return {f"{name} of {stat.filemode(mode)}": error for name, error in ((name, refusal(attempt)) for name, attempt in tries.items()) if error != errno.EROFS}


def shown_in_a_gap(volume):
    """What the worker opens for who compares: what was touched, to be looked at; nothing else, and nothing can be changed through it."""
    (volume.tree / "shown").mkdir()
    pid, bad = begin_gap(volume, "fill-shown")
    check("shown: a gap", bad)
    shown = volume.tree / "shown"
    (shown / "new").write_bytes(b"made in the gap")
    os.mkfifo(shown / "pipe")
    (shown / "link").symlink_to("/etc/shadow")
    (shown / "inner").mkdir()
    with contextlib.ExitStack() as opened:
        healing = Healing(volume)
        opened.enter_context(healing.socket)
        check("nothing is shown before what was touched is taken", healing.places([(0, Healing.ITSELF)]))
        objects = touched_in(healing.ask(Healing.TAKE)[0])
        asked = [(number, name) for number, (_, names) in enumerate(objects) for name in [Healing.ITSELF, *range(len(names))]]
        places = healing.places(asked)
        for fd, _ in places:
            if fd is not None:
                opened.callback(os.close, fd)
        check("what was touched is shown", [error for fd, error in places if fd is None and error not in (errno.ENOENT, errno.ESTALE)] or (not places and objects))
        named = {objects[number][1][name]: fd for (number, name), (fd, _) in zip(asked, places) if name != Healing.ITSELF}
        check("by its names as well", {b"new", b"pipe", b"link", b"inner"} - set(named) and named)
        worked = {}
        for fd, _ in places:
            worked |= every_change_fails(fd) if fd is not None else {}
        check("nothing can be changed through it", worked)
        around = os.open("..", os.O_PATH, dir_fd=named[b"inner"])
        top = os.open("..", os.O_PATH, dir_fd=around)
        above = os.open("..", os.O_PATH, dir_fd=top)
        untouched = os.open("still/d0/f0", os.O_PATH, dir_fd=top)
        for fd in (around, top, above, untouched):
            opened.callback(os.close, fd)
        check("above its top there is nothing", os.fstat(above).st_ino != os.fstat(top).st_ino and (os.fstat(above), os.fstat(top)))
        file = healing.file(handle_at(named[b"new"]))
        check("a touched file is read", os.pread(file, 99, 0) != b"made in the gap" and file)
        os.close(file)
        refused = {"an untouched file": healing.file(handle_at(untouched)), "a pipe": healing.file(handle_at(named[b"pipe"])), "nonsense": healing.file(b"x")}
        check("nothing else is", {what: error for what, error in refused.items() if error != errno.EPERM})
        beyond = healing.places([(len(objects) + 99, Healing.ITSELF), (0, 1 << 20)])
        check("what is not there is refused", [error for _, error in beyond if error != errno.EINVAL])
        healing.ask(Healing.LET_GO)
        check("nothing is shown after changes went on", healing.places([(0, Healing.ITSELF)]))
    os.kill(pid, signal.SIGCONT)
    check("shown: the gap ends", until("it ends", lambda: volume.gap() is None, 40) and f"{volume.gap()} {volume.log_tail()}")
    compare(volume, "shown", "shown")


def kill_somewhere(volume, seed, victim):
    """One gap; VICTIM dies while it heals, or before."""
    dice = random.Random(seed)
    load = Load(volume.tree, seed)
    load.start()
    pid, bad = begin_gap(volume, f"fill-{seed}")
    check(f"{victim} {seed}: a gap", bad)
    time.sleep(0.5)
    target = pid if victim == "store" else volume.ask("capture.sock")["pid"]
    stage = dice.choice(("paused", "applying", "healing", "healing", "healing"))
    if stage != "paused":
        os.kill(pid, signal.SIGCONT)
    if stage == "healing":
        until("it heals", lambda: (volume.gap() or {"state": "healing"})["state"] == "healing", 20)
    if stage != "paused":
        time.sleep(dice.random() * (0.3 if dice.randrange(2) else 3))
    phase = volume.gap()
    os.kill(target, signal.SIGKILL)
    if victim == "worker" and target != pid:
        os.kill(pid, signal.SIGCONT)
    check(f"{victim} {seed}: killed while {phase and phase['state']}, it is back", until("back", lambda: volume.ask("store.sock")["pid"] and volume.ask("capture.sock")["pid"] != (target if victim == "worker" else 0)))
    settled = until("settled", lambda: volume.gap() is None or volume.gap()["state"] == "until the next mount", 40)
    check(f"{victim} {seed}: the gap ends or says that it does not", settled and f"{settled} {volume.log_tail()}")
    gap = volume.gap()
    time.sleep(0.3)
    load.finish()
    if gap:
        check(f"{victim} {seed}: only who knew what was touched makes it a matter of the next mount", victim == "store" and f"{gap} {volume.log_tail()}")
        check(f"{victim} {seed}: nothing is offered now", is_offered(volume, "now")[0] and "it is")
        volume.holdfast("unprotect", volume.tree)
        volume.protect()
    compare(volume, f"{victim} {seed}", f"b{seed}")


def main():
    if os.geteuid() != 0:
        sys.exit(77)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    print("seed", seed)
    with tempfile.TemporaryDirectory(prefix="holdfast-gap-", dir=os.environ.get("HOLDFAST_TEST_DIR")) as work:
        with Volume(Path(work), BUILD, ("protected",)) as volume:
            try:
                heals_in_use(volume, seed)
                shown_in_a_gap(volume)
                for number in range(rounds):
                    kill_somewhere(volume, seed + 2 * number + 1, "store")
                    kill_somewhere(volume, seed + 2 * number + 2, "worker")
            except BaseException:
                print(volume.log_tail())
                raise
    ended()


if __name__ == "__main__":
    main()
