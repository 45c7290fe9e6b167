#!/usr/bin/env python3
"""A replica's store beside its source, without a network: the same tree, the same past, whatever dies in between.

    source host                                  replica host (its own registry and sockets, on this machine)
    live/ --capture--> source/journal --ship_journal--> replica/journal --holdfast-store run--> replica/image

An empty directory is protected, and then gets all that a tree can have, so that the journal tells everything. It changes under load and
is bookmarked, while ship_journal and the replica's service are killed and started again. At the end the image equals the
directory, and every bookmark shows the same on both hosts.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from past_mount import change_tree, make_tree
from verdict import check, ended, failures
from volume import run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
LOAD_SECONDS = float(os.environ.get("HOLDFAST_LOAD_SECONDS", "7"))
def differences(left, right):
    """By rsync, and by our own comparison; holes are compared where both lie on a file system that tells them."""
    rsync = subprocess.run(["rsync", "-naHAX", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", "--filter=-x trusted.holdfast.*", f"{left}/", f"{right}/"],
                           capture_output=True, text=True, errors="surrogateescape")
    are_plain = all(place.name == "image" for place in (left, right))
    ours = subprocess.run([BUILD / "test/system/tree_compare", left, right, *([] if are_plain else ["--ignore-holes"])], capture_output=True, text=True, errors="surrogateescape")
    # rsync tells of differences in what it prints; ours prints a summary in any case.
    found = rsync.stdout.strip() + (rsync.stderr if rsync.returncode else "")
    return found + (ours.stdout + ours.stderr if ours.returncode else "")


class Host:
    """Commands with a registry and sockets of their own."""

    def __init__(self, work, name, store):
        self.store = store
        self.environment = dict(os.environ, HOLDFAST_STATE_DIR=str(work / f"{name}-state"), HOLDFAST_RUN_DIR=str(work / f"{name}-run"),
                                HOLDFAST_STORE_BIN=str(BUILD / "rewind/holdfast-store"), HOLDFAST_MOUNT_BIN=str(BUILD / "fusefs/mount.fuse.holdfast"))

    def holdfast(self, *words):
        return run(BUILD / "tools/holdfast", *words, env=self.environment, errors="surrogateescape")

    def tried(self, *words):
        return subprocess.run([str(word) for word in words], env=self.environment, capture_output=True, text=True, errors="surrogateescape")

    def status(self):
        return json.loads(self.holdfast("status", self.store, "--json"))["volumes"][0]

    def bookmarks(self):
        return {entry["name"]: entry["lsn"] for entry in json.loads(self.holdfast("bookmark", "list", "--volume", self.store, "--json"))["bookmarks"]}


class Load(threading.Thread):
    """Changes the directory until told to stop."""

    def __init__(self, live, seed):
        super().__init__()
        self.live, self.dice, self.over, self.count, self.failure = live, random.Random(seed), False, 0, None

    def run(self):
        try:
            places = [self.live / f"load{number}" for number in range(4)]
            for place in places:
                place.mkdir()
            while not self.over:
                self.step(self.dice.choice(places))
                self.count += 1
        except BaseException as failure:
            self.failure = failure

    def step(self, place):
        dice = self.dice
        names = sorted(os.listdir(place))
        path = place / (dice.choice(names) if names and dice.random() < 0.7 else f"n{dice.randrange(200)}")
        choice = dice.randrange(10)
        if path.is_symlink() or not path.exists():
            path.unlink(missing_ok=True)
            if choice == 0:
                path.symlink_to(f"n{dice.randrange(200)}")
            else:
                path.write_bytes(dice.randbytes(dice.randrange(60000)))
        elif choice < 4:
            with open(path, "r+b") as stream:
                stream.seek(dice.randrange(80000))
                stream.write(dice.randbytes(dice.randrange(1, 9000)))
        elif choice == 4:
            os.truncate(path, dice.randrange(90000))
        elif choice == 5:
            path.unlink()
        elif choice == 6:
            os.replace(path, place / f"n{dice.randrange(200)}")
        elif choice == 7:
            other = place / f"n{dice.randrange(200)}"
            if not os.path.lexists(other):
                os.link(path, other)
        elif choice == 8:
            os.chmod(path, dice.choice((0o600, 0o644, 0o4755)))
            os.utime(path, ns=(0, dice.randrange(10 ** 18)))
        else:
            os.setxattr(path, "user.load", dice.randbytes(20))


class Carriers:
    """What brings the journal over and applies it; both may be killed at any time, and are ended in any case."""

    def __init__(self, work, source, replica, dice):
        self.source, self.replica, self.dice = source, replica, dice
        self.log = open(work / "carriers.log", "w+")
        self.processes = {}

    def ship(self, *options):
        child = subprocess.Popen([BUILD / "test/system/ship_journal", self.source.store, self.replica.store, *options], env=self.replica.environment,
                                 stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.processes["shipper"] = child
        for line in child.stdout:
            self.log.write(line)
            if line == "ready\n":
                return
        child.wait()
        if options != ("--only-make",):
            self.log.flush()
            raise SystemExit(f"ship_journal ends with {child.returncode}: {open(self.log.name).read()[-2000:]}")

    def serve(self):
        self.processes["service"] = subprocess.Popen([BUILD / "rewind/holdfast-store", "run", self.replica.store], env=self.replica.environment, stderr=self.log)

    def answers(self):
        return self.replica.status()["state"] not in ("not following", "failed")

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def kill_one(self):
        if self.dice.random() < 0.6:
            self.kill("shipper")
            # Asked to hold, a service must be there; one that is dead holds nothing back either way.
            can_cut = self.dice.random() < 0.5 and wait_until(self.answers, 10)
            self.ship(*(["--cut"] if can_cut else []))
            return "shipper, cut" if can_cut else "shipper"
        self.kill("service")
        time.sleep(self.dice.random() * 0.3)
        self.serve()
        return "service"

    def end(self):
        for child in self.processes.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.processes.values():
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def lasting_differences(live, image):
    """Times of what was written last are recorded a moment later (docs/guarantees.md)."""
    wait_until(lambda: not differences(live, image), 5)
    return differences(live, image)


def make_source_tree(live, dice):
    make_tree(live, dice)
    os.chown(live, 1234, 4321)
    os.chmod(live, 0o2771)
    os.setxattr(live, "user.top", b"of the tree")
    os.setxattr(live, "trusted.top", b"root's")
    run("setfacl", "-m", "u:1234:rx", live)
    (live / "empty").mkdir()
    os.link(live / "fifo", live / "fifo-again")
    os.utime(live, ns=(0, 1_234_567_890_123_456_789))


def under_load(source, live, carriers, dice, seed):
    load = Load(live, seed)
    load.start()
    taken, killed = 0, []
    end = time.monotonic() + LOAD_SECONDS
    try:
        while time.monotonic() < end:
            time.sleep(dice.random() * 0.5)
            killed.append(carriers.kill_one())
            if len(killed) % 2 == 0:
                source.holdfast("bookmark", "create", f"load{taken}", "--volume", live)
                taken += 1
            if len(killed) == 4:
                change_tree(live, dice)
    finally:
        load.over = True
        load.join()
    print(f"{load.count} operations, {taken} bookmarks; killed: {', '.join(killed)}", flush=True)
    check("the load met no error", load.failure)


def commands(source, replica, live, work):
    """Each by the store's path and by the volume's id, and equal to what the source says."""
    identity = replica.status()["id"]
    holdfast = BUILD / "tools/holdfast"
    for what in ("ls", "log", "cat", "diff"):
        path = "d1" if what == "ls" else "d1/large-again"
        more = {"ls": ["--at", "load0"], "cat": ["--at", "load0"], "log": [], "diff": ["--from", "load0"]}[what]
        answers = [host.tried(holdfast, what, place, *more) for host, place in ((source, live / path), (replica, replica.store / "image" / path), (replica, f"{identity}/{path}"))]
        said = [(answer.returncode, answer.stdout) for answer in answers]
        check(f"{what} says the same by directory, by store and by id", (said[0] != said[1] or said[0] != said[2] or answers[0].stderr) and [str(answer)[:400] for answer in answers])
    for place in (replica.store, identity):
        check(f"ls of the top by {place}", "large" not in replica.holdfast("ls", place) and "not listed")
        replica.holdfast("wait", place)
        check(f"journal dump by {place}", not replica.holdfast("journal", "dump", place) and "nothing")
        verified = replica.tried(holdfast, "verify", place)
        check(f"verify by {place}", verified.returncode and verified.stdout + verified.stderr)
    replica.holdfast("restore", replica.store, "--at", "load0", "--to", work / "restored")
    source.holdfast("restore", live, "--at", "load0", "--to", work / "restored-there")
    check("restore", differences(work / "restored-there", work / "restored"))
    for what, words in (("rewind", (holdfast, "rewind", replica.store, "--to", "load0", "--yes")),
                        ("bookmark create", (holdfast, "bookmark", "create", "x", "--volume", replica.store)),
                        ("mount", (BUILD / "fusefs/mount.fuse.holdfast", replica.store, work / "elsewhere")),
                        ("protect", (holdfast, "protect", work / "elsewhere", "--store", replica.store)),
                        ("unprotect", (holdfast, "unprotect", replica.store))):
        done = replica.tried(*words)
        check(f"{what} is refused with a sentence", (done.returncode == 0 or "replica's store" not in done.stderr + done.stdout) and f"{done.returncode} {done.stdout} {done.stderr}")
    check("status says what it is", "(replica)" not in replica.holdfast("status") and replica.holdfast("status"))


def pasts(source, replica, live, work):
    bookmarks = source.bookmarks()
    check("the bookmarks came along", bookmarks != replica.bookmarks() and (bookmarks, replica.bookmarks()))
    here, there = work / "past-source", work / "past-replica"
    try:
        for host, volume, place in ((source, live, here), (replica, replica.store, there)):
            place.mkdir()
            host.holdfast("mount-past", volume, place)
        for name in bookmarks:
            check(f"@{name} is the same on both", differences(here / f"@{name}", there / f"@{name}"))
    finally:
        for place in (here, there):
            if os.path.ismount(place):
                run("umount", "-l", place)


def retention(source, replica):
    for host in (source, replica):
        kept = [name for name in os.listdir(host.store / "journal") if (host.store / "journal" / name).is_file()]
        first = host.holdfast("journal", "dump", host.store, "--limit", "1")
        print(f"     {host.store.name}: {len(kept)} files in the journal; first record: {first.splitlines()[0] if first else 'none'}", flush=True)


def caught_up(source, replica):
    there = replica.status()
    return there["state"] != "not following" and there["applied"] == source.status()["published"]


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 10 ** 9
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    work = Path(tempfile.mkdtemp(prefix="replica-", dir=BUILD)).resolve()
    live = work / "live"
    source, replica = Host(work, "source", work / "source"), Host(work, "replica", work / "odd/replica")
    carriers = Carriers(work, source, replica, dice)
    for place in (live, work / "elsewhere", work / "odd"):
        place.mkdir()
    try:
        # What a new directory gets from the one around it must not get into the replica's tree.
        run("setfacl", "-d", "-m", "u:4321:rwx", work / "odd")
        os.chmod(work / "odd", 0o2755)
        os.chown(work / "odd", 0, 4321)
        source.holdfast("protect", live, "--store", source.store, "--journal-max", "128M")
        # The service is there first, and finds neither segments nor an in-flight table.
        carriers.ship("--only-make")
        carriers.serve()
        check("the service starts before anything came", not wait_until(carriers.answers) and "it does not answer")
        make_source_tree(live, dice)
        source.holdfast("wait", live)
        check("the source's image equals the directory", lasting_differences(live, source.store / "image"))
        source.holdfast("bookmark", "create", "begin", "--volume", live)
        carriers.ship()
        under_load(source, live, carriers, dice, seed + 1)
        source.holdfast("bookmark", "create", "end", "--volume", live)
        check("the replica catches up", not wait_until(lambda: caught_up(source, replica)) and replica.status())
        check("the replica's image equals the directory", differences(live, replica.store / "image"))
        check("the replica's image equals the source's", differences(source.store / "image", replica.store / "image"))
        pasts(source, replica, live, work)
        commands(source, replica, live, work)
        retention(source, replica)
    finally:
        carriers.end()
        if os.path.ismount(live):
            source.holdfast("unprotect", live)
        if failures:
            print(open(carriers.log.name).read()[-4000:])
        shutil.rmtree(work, ignore_errors=True)
    ended()


if __name__ == "__main__":
    main()
