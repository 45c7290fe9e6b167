#!/usr/bin/env python3
"""What is left out of a protected directory (docs/decisions/0015).

Under loads that write inside and outside of what is left out, from before the directory is protected to after it is not any more: nothing of the inside is
anywhere in the store, nobody outside sees an error; the kernel keeps the border; deaths, mounts anew, changed lists and rewinds change nothing of that; a
directory that is not protected any more is bare and whole. Then the same with a replica.

    test/system/left_out.py [SCENE...]
"""
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replicated import Network, Pair, fill, until
from verdict import check, ended
from volume import Mounts, control, run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
RULES = ("--leave-out", "cache", "--leave-out", "var/tmp/")
INSIDE = "inside-of-what-is-left-out"  # in the names and bytes of everything there, and nowhere else
MADE_INSIDE = ("cache", "var/tmp")


class Load(threading.Thread):
    """Makes, writes, renames and removes files below a directory, by paths, as programs do that hold nothing open for long."""

    def __init__(self, top, mark):
        super().__init__(daemon=True)
        self.top, self.mark, self.steps, self.error, self.ending = top, mark, 0, "", threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                self.step()
                time.sleep(0.0005)
        except Exception as error:
            self.error = f"after {self.steps} steps: {error!r}"

    def step(self):
        self.steps += 1
        name = self.top / f"{self.mark}-{self.steps % 50}"
        name.write_bytes(self.mark.encode() * (1 + self.steps % 300))
        os.rename(name, self.top / f"{self.mark}-renamed-{self.steps % 20}")
        deep = self.top / f"{self.mark}-d{self.steps % 5}"
        deep.mkdir(exist_ok=True)
        (deep / self.mark).write_bytes(self.mark.encode())
        if self.steps % 7 == 0:
            (deep / self.mark).unlink()

    def finish(self, what):
        self.ending.set()
        self.join()
        check(f"{what}: {self.steps} steps of a load at {self.top.name}, and it noticed nothing", self.error or (self.steps < 20 and "too few"))


class Reader(Load):
    """Opens and reads one file, again and again."""

    def step(self):
        self.steps += 1
        if (self.top / "known").read_bytes() != b"known":
            raise RuntimeError("other bytes")


class Patient(Load):
    """Goes on while nobody serves the directory."""

    def step(self):
        try:
            super().step()
        except OSError as error:
            # EXDEV: its directory became a mount, or none, between the two paths of a rename.
            if error.errno not in (errno.ENOTCONN, errno.ECONNABORTED, errno.EXDEV, errno.ENOENT):
                raise


class Swarm(Load):
    """Somebody new every few milliseconds: whoever came earlier may be waiting."""

    def step(self):
        self.steps += 1
        time.sleep(0.005)
        threading.Thread(target=self.once, args=(self.steps,), daemon=True).start()

    def once(self, number):
        try:
            (self.top / f"{self.mark}-once-{number % 40}").write_bytes(self.mark.encode())
        except OSError as error:
            self.error = repr(error)


class Volume(Mounts):
    """A directory with two parts that are to be left out; not protected yet."""

    def __enter__(self):
        self.tree = self.directories["protected"]
        for place in (*MADE_INSIDE, "data", "var/log"):
            (self.tree / place).mkdir(parents=True)
        for place in MADE_INSIDE:
            (self.tree / place / f"{INSIDE}-old").write_text(INSIDE)
        for place in ("data", "cache"):
            (self.tree / place / "known").write_text("known")
        return self

    def protect(self, *words):
        return self.holdfast("protect", self.tree, "--store", self.store, "--json", *words)

    def attempt(self, *words):
        """Exit status, and what was said."""
        done = subprocess.run([str(BUILD / "tools/holdfast"), *map(str, words)], capture_output=True, text=True, env=self.environment)
        return done.returncode, done.stdout + done.stderr

    def refused(self, what, exit, sentence, *words):
        status, said = self.attempt(*words)
        check(what, "" if status == exit and sentence in said else f"exit {status}: {said}")

    def mounts(self, tree=None):
        """(type, path within) of everything mounted at the directory and in it."""
        found = []
        for line in open("/proc/self/mountinfo"):
            words = line.split()
            point = words[4].encode().decode("unicode_escape")
            top = str(tree or self.tree)
            if point == top or point.startswith(top + "/"):
                found.append((words[words.index("-") + 1], point[len(top) + 1:]))
        return sorted(found)

    def bound(self):
        return [path for kind, path in self.mounts() if path and not kind.startswith("fuse")]

    def status_of(self, key):
        return self.status()[key]

    def worker(self):
        """Of one that was just killed its successor."""
        found = []

        def answers():
            try:
                found.append(control(self, "capture.sock", {"verb": "status"})["pid"])
            except (OSError, ValueError, KeyError):
                return False
            return True

        bad = until("the worker answers", answers, 20)
        if bad:
            raise RuntimeError(bad)
        return found[-1]

    def await_free(self):
        """Nobody has the store any more."""
        return until("the store is free", lambda: subprocess.run(["flock", "-n", self.store / "lock", "true"]).returncode == 0)

    def supervisor(self):
        return int(open(f"/proc/{self.worker()}/stat").read().rsplit(")", 1)[1].split()[1])

    def log_tail(self):
        return (self.store / "log").read_text(errors="replace")[-3000:] if (self.store / "log").exists() else "no log"

    def __exit__(self, *_):
        for mount in sorted((path for _, path in self.mounts() if path), reverse=True):
            if (self.tree / mount).name == "by-hand":
                run("umount", self.tree / mount)
        super().__exit__()


def inside_of(place):
    """Names and files below PLACE that have something of what is left out in them."""
    names = run("find", place, "-name", f"*{INSIDE}*")
    bytes_ = subprocess.run(["grep", "-rlaF", INSIDE, str(place)], capture_output=True, text=True).stdout
    return (names + bytes_).strip()


def not_recorded(volume, what):
    volume.settle()
    check(f"{what}: nothing of what is left out is in the store", inside_of(volume.store))
    listed = [volume.holdfast("ls", volume.tree / place).strip() for place in MADE_INSIDE]
    check(f"{what}: it is two empty directories in the present of the history", "".join(listed))


def is_equal(volume, what):
    """The image is the directory without what is left out. Times are recorded a moment later, those of directories are not looked at, because workers died."""
    volume.settle()
    check(f"{what}: all else is equal in the image", until("equal", lambda: not differing(volume), 5) and differing(volume))


def differing(volume):
    exclude = [f"--filter=-p /{place}/*" for place in MADE_INSIDE]
    return run("rsync", "-naHAO", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", *exclude, f"{volume.tree}/", f"{volume.store}/image/").strip()


def fails_with(number, what, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return check(what, "" if error.errno == number else repr(error))
    check(what, "it succeeds")


def border(volume):
    tree = volume.tree
    (tree / "cache" / f"{INSIDE}-b").write_text(INSIDE)
    (tree / "data" / "b").write_text("b")
    for name, call in (("rename", os.rename), ("link", os.link)):
        fails_with(errno.EXDEV, f"border: {name} out of what is left out", call, tree / "cache" / f"{INSIDE}-b", tree / "data" / "c")
        fails_with(errno.EXDEV, f"border: {name} into what is left out", call, tree / "data" / "b", tree / "var/tmp/c")
    fails_with(errno.EBUSY, "border: what is left out cannot be removed", os.rmdir, tree / "cache")
    fails_with(errno.EBUSY, "border: it cannot be renamed", os.rename, tree / "cache", tree / "cache-2")
    fails_with(errno.EBUSY, "border: nothing can be renamed over it", os.rename, tree / "data", tree / "cache")
    check("border: find -xdev does not enter it", run("find", tree, "-xdev", "-name", f"*{INSIDE}*").strip())
    check("border: both are bound, the directory is covered", "" if volume.bound() == ["cache", "var/tmp"] else volume.mounts())
    check("border: the status says so", "" if volume.status_of("leave_out") == ["cache", "var/tmp"] and not volume.status_of("leave_out_missing") else volume.status())
    check("border: in words as well", "" if "left out: cache, var/tmp" in volume.holdfast("status", tree) else volume.holdfast("status", tree))


def around(volume):
    """Who sees the mount without its binds is not let in: what he would write has no place in a store."""
    plain = volume.work / "plain"
    plain.mkdir()
    run("mount", "--bind", volume.tree, plain)
    try:
        there = plain / "cache"
        for what, call in (("a file", lambda: open(there / "known", "a")), ("a new one", lambda: open(there / f"{INSIDE}-new", "x")), ("its list", lambda: os.listdir(there)),
                           ("one without a name", lambda: os.open(there, os.O_TMPFILE | os.O_RDWR)), ("a directory", lambda: (there / f"{INSIDE}-d").mkdir())):
            fails_with(errno.ESTALE, f"around the bind: {what} is not to be had", call)
        (plain / "data/through").write_text("x")
    finally:
        run("umount", plain)
        plain.rmdir()
    not_recorded(volume, "around the bind")


def life(work):
    """Protected and unprotected under loads, deaths in between."""
    with Volume(work, BUILD, kinds=("protected",)) as volume:
        tree = volume.tree
        loads = [Load(tree / place, INSIDE) for place in MADE_INSIDE] + [Reader(tree / "data", ""), Swarm(tree / "cache", INSIDE)]
        for load in loads:
            load.start()
        until("the loads run", lambda: all(load.steps > 20 for load in loads))
        volume.protect(*RULES)
        outside = Load(tree / "data", "outside")
        outside.start()
        time.sleep(0.7)
        for _ in range(3):
            os.kill(volume.worker(), signal.SIGKILL)
            time.sleep(0.3)
        for load in (*loads, outside):
            load.finish("while it is protected, and its worker killed")
        not_recorded(volume, "after loads")
        is_equal(volume, "after loads")
        border(volume)

        around(volume)
        run("umount", tree / "cache")
        fails_with(errno.ESTALE, "while its bind is away nobody gets in", lambda: open(tree / "cache/known", "a"))
        check("a bind that somebody takes away is put back", until("it is bound", lambda: volume.bound() == ["cache", "var/tmp"], 10))

        os.kill(volume.supervisor(), signal.SIGKILL)
        volume.await_free()
        volume.protect()
        border(volume)
        check("a dead supervisor's mounts are gone", "" if len(volume.mounts()) == 4 else volume.mounts())
        (tree / "cache" / f"{INSIDE}-after").write_text(INSIDE)
        not_recorded(volume, "after a supervisor's death")

        ending(volume)
        crowd(volume)
    check("nothing is left of where mounts are put together", run("grep", "-c", str(work), "/proc/self/mountinfo") if subprocess.run(["grep", "-q", str(work), "/proc/self/mountinfo"]).returncode == 0 else "")


def ending(volume):
    """All the ways in which protection ends."""
    tree = volume.tree
    whole = sorted(path.name for path in (tree / "cache").iterdir())
    with subprocess.Popen(["sleep", "60"], cwd=tree) as user:
        volume.refused("unprotect is refused while somebody stands in the directory", 4, "is in use", "unprotect", tree)
        check("and what was left out still is", "" if volume.bound() == ["cache", "var/tmp"] else volume.mounts())
        user.kill()
    program = tree / "data/sleep"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"], cwd="/") as user:
        volume.refused("unprotect is refused while a program of the directory runs", 4, "is in use", "unprotect", tree)
        check("and what was left out is", "" if volume.bound() == ["cache", "var/tmp"] else volume.mounts())
        user.kill()
    program.unlink()
    (tree / "cache" / f"{INSIDE}-by-hand").mkdir()
    by_hand = tree / "cache" / "by-hand"
    by_hand.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", by_hand)
    volume.refused("unprotect is refused while something else is mounted there", 4, "by-hand", "unprotect", tree)
    check("and that stays mounted", "" if os.path.ismount(by_hand) else volume.mounts())
    run("umount", by_hand)
    by_hand.rmdir()
    with open(tree / "cache" / f"{INSIDE}-open", "w") as stream:
        stream.write("before ")
        stream.flush()
        volume.holdfast("unprotect", tree)
        stream.write("after")
    check("what is open in it goes on while the rest is unprotected", "" if (tree / "cache" / f"{INSIDE}-open").read_text() == "before after" else "other bytes")
    check("unprotected, the directory is bare", volume.mounts())
    check("and what was left out is whole", "" if set(whole) <= {path.name for path in (tree / "cache").iterdir()} else "something is missing")

    volume.protect()
    check("what is left out stays that for the next mount", "" if volume.bound() == ["cache", "var/tmp"] else volume.mounts())
    os.kill(volume.supervisor(), signal.SIGTERM)
    check("a supervisor that is asked to end takes everything away", until("nothing is mounted", lambda: not volume.mounts(), 20))
    volume.await_free()
    volume.protect()
    os.kill(volume.supervisor(), signal.SIGKILL)
    volume.await_free()
    half_made = next((volume.work / "run").iterdir()) / "assembly"
    half_made.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", half_made)
    volume.holdfast("unprotect", tree)
    check("unprotected after its supervisor died, the directory is bare", volume.mounts())
    check("and so is the place where its mount was put together", "" if not os.path.ismount(half_made) else "it is mounted")
    check("and whole", "" if (tree / "cache" / f"{INSIDE}-open").exists() and (tree / "data/known").exists() else "something is missing")


def crowd(volume):
    """Who reads all the time sees neither the beginning nor the end."""
    readers = [Reader(volume.tree / place, "") for place in ("data", "cache")]
    for reader in readers:
        reader.start()
    refusals = 0
    for _ in range(4):
        volume.protect()
        while True:
            status, said = volume.attempt("unprotect", volume.tree)
            if status == 0:
                break
            refusals += 1
            if status != 4 or "in use" not in said or refusals > 2000:
                raise SystemExit(f"unprotect exits {status}: {said}")
    for reader in readers:
        reader.finish(f"while it is protected and unprotected, {refusals} times refused")


def held(volume):
    """What somebody has open before the directory is protected."""
    protect = ("protect", volume.tree, "--store", volume.store, *RULES)
    with open(volume.tree / "data/known", "r+"):
        volume.refused("a file that is open for writing is a reason to refuse", 4, "open for writing", *protect)
    check("and nothing is left mounted", volume.mounts())
    with subprocess.Popen(["sleep", "60"], cwd=volume.tree / "cache") as user:
        volume.refused("who stands in what is to be left out can walk out of it", 4, "in use", *protect)
        user.kill()
    with open(volume.tree / "cache" / f"{INSIDE}-held", "w") as stream:
        volume.protect(*RULES)
        stream.write(INSIDE)
    check("a file there that is open for writing is none", "" if (volume.tree / "cache" / f"{INSIDE}-held").read_text() == INSIDE else "other bytes")
    volume.holdfast("unprotect", volume.tree)


def words_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def supervisors(volume):
    """Both halves, while the one waits for the other."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = words_of(pid)
        if words and words[0].endswith(b"mount.fuse.holdfast") and bytes(volume.store) in words and not any(word.startswith(b"--") for word in words):
            yield int(pid)


def children(pids, word):
    """Those with WORD on their command line."""
    for pid in pids:
        try:
            found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        yield from (int(child) for child in found if word.encode() in words_of(child))


def kill_one(volume, victim, dice, protecting):
    """How many processes were killed while PROTECTING ran."""
    pids = []
    while protecting.poll() is None and len(pids) < 2:
        pids = list(supervisors(volume))
    if not victim:
        time.sleep(dice.random() * 0.25)
    found = pids if not victim else []
    while protecting.poll() is None and not found:
        found = list(children(pids, victim))
    time.sleep(dice.random() * 0.004 if victim else 0)
    killed = 0
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            pass
    until("they are gone", lambda: not any(map(words_of, found)))
    return killed


def deaths(work):
    """Somebody is killed while the directory is being protected."""
    seed = int(os.environ.get("HOLDFAST_TEST_SEED", time.time_ns() % 100000))
    dice = random.Random(seed)
    print(f"HOLDFAST_TEST_SEED={seed}")
    with Volume(work, BUILD, kinds=("protected",)) as volume:
        loads = [Patient(volume.tree / place, INSIDE) for place in MADE_INSIDE]
        for load in loads:
            load.start()
        volume.protect(*RULES)
        killed = {"": 0, "--worker": 0, "--bind": 0}
        for number in range(40):
            while volume.attempt("unprotect", volume.tree)[0] != 0:
                pass
            victim = list(killed)[number % 3]
            protecting = subprocess.Popen([str(BUILD / "tools/holdfast"), "protect", str(volume.tree), "--store", str(volume.store)], env=volume.environment,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            killed[victim] += kill_one(volume, victim, dice, protecting)
            said = protecting.communicate(timeout=60)[0]
            if victim == "--worker" and protecting.returncode != 0:
                check(f"round {number}: a worker's death is cured", said)
            if protecting.returncode != 0 or not any(supervisors(volume)):
                volume.await_free()
                volume.protect()
            if volume.bound() != ["cache", "var/tmp"] or len(volume.mounts()) != 4:
                check(f"round {number}, {victim or 'supervisor'}: directory and binds are there", f"{volume.mounts()} {said}")
        check(f"killed at random instants, all is there afterwards ({killed})", "" if min(killed.values()) > 3 else "too few")
        for load in loads:
            load.finish("while somebody dies")
        not_recorded(volume, "after deaths")


def lists(work):
    """The list changes, and so do the directories that it names."""
    with Volume(work, BUILD, kinds=("protected",)) as volume:
        tree = volume.tree
        many = tree / "many"
        many.mkdir()
        for number in range(1500):
            (many / f"m{number}").write_text(str(number))
        volume.protect()
        volume.holdfast("bookmark", "create", "all", "--volume", tree)
        volume.holdfast("unprotect", tree)
        gaps = evidence(volume)["gap_begin"]
        volume.protect("--leave-out", "many", *RULES)
        volume.settle()
        check("more than half is left out from now on, and the brake does not refuse it", "" if not list((volume.store / "image/many").iterdir()) else "it is in the image")
        check("its past stays", "" if len(volume.holdfast("ls", many, "--at", "all").split()) >= 1500 else "it is gone")
        check("so does all of it in the directory", "" if len(list(many.iterdir())) == 1500 else "it is gone")
        check("what was copied once is in the past alone", "" if not list((volume.store / "image/cache").iterdir()) else "it is in the image")
        volume.holdfast("unprotect", tree)
        volume.protect()
        (many / "later").write_text("later")
        volume.holdfast("unprotect", tree)
        volume.protect()
        check("nothing differs at the next mount, whatever happened there", "" if evidence(volume)["gap_begin"] == 0 and gaps == 0 else evidence(volume))
        volume.holdfast("unprotect", tree)
        half_made = next((work / "run").iterdir()) / "assembly"
        half_made.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", half_made)
        volume.protect("--leave-nothing-out")
        check("what a killed supervisor was putting together is taken away by the next", "" if not os.path.ismount(half_made) else "it is mounted")
        volume.settle()
        check("with nothing left out it is recorded again", "" if (volume.store / "image/many/later").exists() and not volume.bound() else volume.mounts())
        check("and so is the rest", "" if (volume.store / f"image/cache/{INSIDE}-old").exists() else "it is not in the image")
        volume.holdfast("unprotect", tree)

        volume.protect(*RULES)
        os.rename(tree / "var", tree / "moved")
        (tree / "moved/tmp" / f"{INSIDE}-moved").write_text(INSIDE)
        check("a directory above may be renamed; what is left out goes along, and the status tells", "" if volume.bound() == ["cache", "moved/tmp"] and volume.status_of("leave_out_missing") == ["var/tmp"] else volume.status())
        volume.settle()
        check("it is still not recorded", [path.name for path in (volume.store / "image/moved/tmp").iterdir()])
        volume.holdfast("unprotect", tree)
        shutil.rmtree(tree / "cache")
        os.chown(tree, 12, 34)
        volume.protect()
        made = os.stat(tree / "cache")
        check("what is not there at a mount is made anew and left out", "" if volume.bound() == ["cache", "var/tmp"] and (made.st_uid, made.st_gid) == (12, 34) else volume.mounts())
        check("and the log says so", "" if '"cache", which is left out, was not there' in volume.log_tail() else volume.log_tail())
        (tree / "cache" / "again").write_text(INSIDE)
        volume.settle()
        check("it is not recorded", [path.name for path in (volume.store / "image/cache").iterdir()])
        volume.holdfast("unprotect", tree)
        shutil.rmtree(tree / "cache")
        (tree / "cache").symlink_to("data")
        volume.protect()
        check("a link in its place does not keep the directory unprotected, and is told", "" if volume.status_of("leave_out_missing") == ["cache"] and volume.bound() == ["var/tmp"] else volume.status())
        check("in words as well", "" if "not left out now: cache" in volume.holdfast("status", tree) else volume.holdfast("status", tree))


def evidence(volume):
    return json.loads((volume.store / "last-recovery.json").read_text().strip().splitlines()[-1])["comparison"]


def rewinds(work):
    """The whole tree goes back across the moment before what is left out was there."""
    with Volume(work, BUILD, kinds=("protected",)) as volume:
        tree = volume.tree
        shutil.rmtree(tree / "cache")
        shutil.rmtree(tree / "var")
        volume.protect()
        (tree / "data/file").write_text("then")
        volume.holdfast("bookmark", "create", "before", "--volume", tree)
        for place in (*MADE_INSIDE, "var/log"):
            (tree / place).mkdir(parents=True)
        (tree / "var/log/l").write_text("later")
        (tree / "data/file").write_text("later")
        volume.holdfast("unprotect", tree)
        volume.protect(*RULES)
        for place in MADE_INSIDE:
            (tree / place / f"{INSIDE}-here").write_text(INSIDE)
        shown = json.loads(volume.holdfast("rewind", tree, "--to", "before", "--dry-run", "--json"))
        check("the preview names what stays", "" if shown["kept"] == ["cache", "var", "var/tmp"] else shown)
        check("and no change of it", [change for change in shown["changes"] if change["path"] in ("cache", "var", "var/tmp")])
        done = json.loads(volume.holdfast("rewind", tree, "--to", "before", "--yes", "--json"))
        check("the rewind says that nothing differs", done["problems"] + done["verified"]["differences"])
        check("all else is as it was", "" if (tree / "data/file").read_text() == "then" and not (tree / "var/log").exists() else run("find", tree))
        check("what is left out is whole", "" if all((tree / place / f"{INSIDE}-here").read_text() == INSIDE for place in MADE_INSIDE) else run("find", tree))
        volume.holdfast("rewind", tree, "--to", f"lsn:{done['undo_lsn']}", "--yes")
        check("and back again", "" if (tree / "var/log/l").read_text() == "later" and (tree / f"cache/{INSIDE}-here").exists() else run("find", tree))
        volume.refused("what is left out cannot be rewound", 4, "left out", "rewind", tree / "cache", "--to", "before", "--yes")
        (tree / "data/var").mkdir()
        volume.holdfast("bookmark", "create", "has-var", "--volume", tree)
        volume.refused("nothing is restored over the way to it", 4, "mounted", "restore", tree / "data/var", "--at", "has-var", "--to", tree, "--force")
        check("so it is still there", "" if (tree / "var/tmp" / f"{INSIDE}-here").exists() else run("find", tree))
        not_recorded(volume, "after rewinds")


def bad_lists(work):
    with Volume(work, BUILD, kinds=("protected",)) as volume:
        tree = volume.tree
        (tree / "file").write_text("x")
        (tree / "link").symlink_to("cache")
        (tree / "disk").mkdir()
        protect = ("protect", tree, "--store", volume.store)
        for what, exit, sentence, paths in (
                ("an absolute path", 2, "path from the top", [tree / "cache"]), ("the top", 2, "itself", [""]), ("dots", 2, "no part of the path", ["cache/../data"]),
                ("an empty part", 2, "no part of the path", ["var//tmp"]), ("a file", 2, "no directory", ["file"]), ("beneath a file", 2, "no directory", ["file/x"]),
                ("a link", 2, "no directory", ["link"]), ("beneath a link", 2, "no directory", ["link/x"]), ("one that is not there", 3, "there is no", ["nothing"]),
                ("one in another", 2, "lies in", ["var", "var/tmp"]), ("one twice", 2, "named twice", ["cache", "cache/"])):
            words = [word for path in paths for word in ("--leave-out", path)]
            volume.refused(f"{what} is refused", exit, sentence, *protect, *words)
            check(f"{what}: nothing was made or mounted", "" if not volume.store.exists() and not volume.mounts() else volume.mounts())
        volume.refused("something and nothing is refused", 2, "contradict", *protect, *RULES, "--leave-nothing-out")
        volume.protect(*RULES)
        volume.refused("a list for what is mounted is refused", 4, "already protected", *protect, "--leave-out", "data")
        volume.holdfast("unprotect", tree)
        held(volume)
        before = (volume.store / "volume.toml").read_text()
        volume.refused("a bad list of a known volume is refused", 3, "there is no", *protect, "--leave-out", "nothing")
        check("and its description is as before", "" if (volume.store / "volume.toml").read_text() == before and 'leave_out = ["cache", "var/tmp"]' in before else before)
        run("mount", "-t", "tmpfs", "tmpfs", tree / "disk")
        try:
            volume.refused("one that something is mounted at is refused", 2, "another file system", *protect, "--leave-out", "disk")
        finally:
            run("umount", tree / "disk")


def seen_elsewhere(work):
    """Where the mount is seen, its binds are; with the flags of the file system beneath."""
    host = work / "host"
    peer = work / "peer"
    for place in (host, peer):
        place.mkdir()
    run("mount", "--bind", host, host)
    try:
        run("mount", "-o", "remount,bind,nosuid,nodev,noexec", host)
        run("mount", "--make-shared", host)
        run("mount", "--bind", host, peer)
        try:
            with Volume(host, BUILD, kinds=("protected",)) as volume:
                volume.store = work / "store"
                volume.protect(*RULES)
                there = volume.mounts(peer / "protected")
                check("a peer sees mount and binds", "" if [path for _, path in there if path] == ["cache", "var/tmp"] else there)
                (peer / "protected/cache" / INSIDE).write_text(INSIDE)
                not_recorded(volume, "through the peer")
                flags = [line.split()[5] for line in open("/proc/self/mountinfo") if f" {volume.tree}/cache " in line]
                check("a bind has the flags of the mount beneath", "" if flags and all(flag in flags[0] for flag in ("nosuid", "nodev", "noexec")) else flags)
                volume.holdfast("unprotect", volume.tree)
                check("unprotected, the peer sees nothing of it", volume.mounts(peer / "protected"))
        finally:
            run("umount", peer)
            shutil.rmtree(work / "store", ignore_errors=True)
    finally:
        run("umount", host)


def replica(work):
    with Network() as network:
        pair = Pair(network, work, fill=False, protect=RULES)
        for place in (*MADE_INSIDE, "data"):
            (pair.tree / place).mkdir(parents=True)
            (pair.tree / place / (f"{INSIDE}-old" if place != "data" else "known")).write_text(INSIDE if place != "data" else "known")
        fill(pair.tree)
        with pair:
            loads = [Load(pair.tree / place, INSIDE) for place in MADE_INSIDE] + [Load(pair.tree / "data", "outside")]
            for load in loads:
                load.start()
            time.sleep(2)
            for load in loads:
                load.finish("with a replica")
            check("everything arrives", until("it is applied", pair.arrived, 60))
            check("nothing of what is left out is on the replica", inside_of(pair.replica))
            check("its directories are, empty", "" if all((pair.replica / "image" / place).is_dir() for place in MADE_INSIDE) else "one is missing")
            done = subprocess.run([str(BUILD / "tools/holdfast"), "compare", str(pair.tree), "beta"], capture_output=True, text=True, env=pair.alpha.environment)
            check("a comparison finds no difference", "" if done.returncode == 0 else done.stdout + done.stderr)
            check("the source's store has nothing of it", inside_of(pair.store))


def main():
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK):
        print("skip: needs root and /dev/fuse")
        sys.exit(77)
    scenes = {scene.__name__: scene for scene in (bad_lists, life, deaths, lists, rewinds, seen_elsewhere, replica)}
    for name in sys.argv[1:] or scenes:
        work = Path(tempfile.mkdtemp(prefix=f"holdfast-left-out-{name}-"))
        print(f"--- {name}")
        try:
            scenes[name](work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    ended()


if __name__ == "__main__":
    main()
