#!/usr/bin/env python3
"""Volumes whose fsync waits for a replica: what it promises, what happens when no replica answers, and who waits meanwhile.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1

"""
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import ask
from replicated import BUILD, Network, Pair, compare, until
from verdict import check, ended

ROUNDS = int(os.environ.get("ROUNDS", 25))
PROMPT = 1.0  # seconds that nothing takes that waits for nobody, on a busy machine too

# Writes to a file and makes it durable in one of several ways, as a process that can be killed.
CALLER = """
import mmap, os, sys
path, text, way = sys.argv[1], sys.argv[2].encode(), sys.argv[3]
fd = os.open(path, os.O_CREAT | os.O_RDWR | {"O_SYNC": os.O_SYNC, "O_DSYNC": os.O_DSYNC}.get(way, 0))
if way == "msync":
    os.ftruncate(fd, 4096)
    memory = mmap.mmap(fd, 4096)
    memory[:len(text)] = text
    memory.flush()
else:
    os.write(fd, text)
    {"fsync": os.fsync, "fdatasync": os.fdatasync}.get(way, lambda fd: None)(fd)
"""
WAYS = ("fsync", "fdatasync", "msync", "O_SYNC", "O_DSYNC")
# Lines with numbers, each synced before the next one; says how many of them are.
APPENDER = """
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
for number in range(1 << 30):
    os.write(fd, b"%d\\n" % number)
    os.fsync(fd)
    sys.stdout.write("%d\\n" % number)
    sys.stdout.flush()
"""


class Caller:
    def __init__(self, path, text="x", way="fsync"):
        self.begun = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-c", CALLER, path, text, way], stderr=subprocess.PIPE)

    def waits(self, seconds):
        """Whether it still does after so long."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return ""
        return f"it ended with {self.process.returncode} after {time.monotonic() - self.begun:.1f} s"

    def returns(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return f"it waits after {seconds} s"
        return "" if self.process.returncode == 0 else f"status {self.process.returncode}: {self.process.stderr.read().decode()[-200:]}"

    def killed(self):
        self.process.kill()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            return "it is not dead 5 s after it was killed"
        return ""


def volume(pair):
    return json.loads(pair.alpha.holdfast("status", pair.tree, "--json"))["volumes"][0]


def durability(pair, *words):
    return json.loads(pair.alpha.holdfast("durability", pair.tree, *words, "--json"))


def refused(pair, host, status, *words):
    done = subprocess.run([BUILD / "tools/holdfast", *map(str, words)], env=host.environment, capture_output=True, text=True)
    return "" if done.returncode == status and len(done.stderr.splitlines()) == 1 else f"{done.returncode} {done.stderr}"


def capture_pid(pair):
    return ask(pair.alpha.work / "run" / pair.id / "capture.sock", {"verb": "status"})["pid"]


def codes(pair, after):
    return [event["code"] for event in pair.alpha.events(after) if event["code"] in ("HF-E-121", "HF-E-122")]


def timed(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def promise(pair, seed):
    """Whenever the source is lost, its replica has everything of which an fsync returned."""
    dice = random.Random(seed)
    for mode in ("sync", "semi-sync"):
        durability(pair, mode, "--when-alone", "block")
        for number in range(ROUNDS):
            name = f"{mode}-{number}"
            appender = subprocess.Popen([sys.executable, "-c", APPENDER, pair.tree / name], stdout=subprocess.PIPE, text=True)
            time.sleep(dice.uniform(0.05, 0.6))
            # The source is gone for the replica from one moment on: nothing that it sends later counts.
            pair.forwarder.do("cut")
            time.sleep(0.05)
            pair.alpha.kill()
            appender.kill()
            synced = [int(line) for line in appender.stdout.read().split()]
            appender.wait()
            if mode == "sync":
                pair.beta.kill()
                pair.beta.start()
            there = pair.replica / "image" / name
            wanted = "".join(f"{line}\n" for line in synced)
            bad = until("it is in the image", lambda: not synced or (there.exists() and there.read_text().startswith(wanted)), 20)
            if bad or number == ROUNDS - 1:
                check(f"promise: {mode}: the source was lost after {len(synced)} fsyncs in round {number}; all are on the replica", bad)
            pair.forwarder.do("open")
            pair.alpha.start()
            if bad:
                break
    check("promise: it streams again", until("streaming", lambda: pair.alpha.edge()["state"] == "streaming", 30))


def kills(pair, seed):
    """Workers and engines die under fsyncs that wait; no application sees it, and nothing is forgotten or waits for ever."""
    dice = random.Random(seed)
    durability(pair, "sync", "--when-alone", "block")
    appenders = [subprocess.Popen([sys.executable, "-c", APPENDER, pair.tree / f"killed-{number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for number in range(3)]
    for _ in range(ROUNDS):
        time.sleep(dice.uniform(0.1, 0.5))
        victim = dice.choice(("worker", "worker", "alpha", "beta", "link"))
        if victim == "worker":
            os.kill(capture_pid(pair), signal.SIGKILL)
            until("its successor answers", lambda: volume(pair)["waiting"] is not None, 20)
        elif victim == "link":
            pair.forwarder.do("cut")
            pair.forwarder.do("open")
        else:
            host = getattr(pair, victim)
            host.kill()
            host.start()
    check("kills: every application goes on", next((one.stderr.read()[-300:] for one in appenders if one.poll() is not None), ""))
    until("streaming", lambda: pair.alpha.edge()["state"] == "streaming", 30)
    time.sleep(1)
    counts = []
    for number, appender in enumerate(appenders):
        appender.kill()
        synced = appender.stdout.read().split()
        appender.wait()
        counts.append(len(synced))
        lines = (pair.tree / f"killed-{number}").read_text().split("\n")
        check("kills: every line is there once and in order", "" if lines[:len(synced)] == synced else f"{len(synced)} were synced")
    check("kills: fsyncs returned all the time", "" if min(counts) > ROUNDS else counts)
    (pair.tree / "afterwards-of-kills").write_text("")
    compare(pair, "kills: afterwards")


def degrade(pair, _):
    durability(pair, "sync", "--when-alone", "degrade:2s")
    compare(pair, "degrade: before")
    check("degrade: fsync returns", Caller(pair.tree / "a").returns(10))
    check("degrade: together", "" if volume(pair)["alone"] is False else volume(pair))
    last = pair.alpha.events()[-1]["number"]
    pair.forwarder.do("hang")
    caller = Caller(pair.tree / "a", "2")
    check("degrade: without a replica it waits first", caller.waits(1.5))
    check("degrade: and then goes on", caller.returns(10))
    check("degrade: it is told", until("HF-E-121", lambda: codes(pair, last) == ["HF-E-121"], 5) and codes(pair, last))
    check("degrade: the status says so", "" if (volume(pair)["state"], volume(pair)["times_alone"]) == ("degraded", 1) else volume(pair))
    edge = pair.alpha.edge()
    check("degrade: and the engine's", "" if (edge["durability"], edge["alone"], edge["times_alone"]) == ("sync", 1, 1) else edge)
    fd = os.open(pair.tree / "b", os.O_CREAT | os.O_WRONLY)
    for number in range(3):
        os.write(fd, b"x" * 100_000)
        seconds = timed(lambda: os.fsync(fd))
        check("degrade: later ones do not wait", "" if seconds < PROMPT else f"{seconds:.1f} s")
    os.close(fd)
    pair.forwarder.do("cut")
    pair.forwarder.do("open")
    check("degrade: a replica is back", until("HF-E-122", lambda: codes(pair, last) == ["HF-E-121", "HF-E-122"], 60) and codes(pair, last))
    compare(pair, "degrade: together again")
    check("degrade: the status says so", "" if volume(pair)["alone"] is False and volume(pair)["times_alone"] == 1 else volume(pair))
    pair.forwarder.do("hang")
    check("degrade: and fsync waits again", Caller(pair.tree / "a", "3").waits(1))
    pair.forwarder.do("open")


def nowhere(pair, _):
    """An engine that cannot even find out where the peer is still tells that there is no replica."""
    durability(pair, "sync", "--when-alone", "degrade:1s")
    compare(pair, "nowhere: before")
    peers = pair.alpha.work / "state/engine/peers.json"
    known = peers.read_text()
    pair.alpha.stop()
    peers.write_text(known.replace(pair.target, "nowhere.invalid"))
    pair.alpha.start()
    check("nowhere: fsync goes on without a replica", Caller(pair.tree / "a", "8").returns(10))
    check("nowhere: it is told", until("HF-E-121", lambda: codes(pair, 0) == ["HF-E-121"], 30))
    pair.alpha.stop()
    peers.write_text(known)
    pair.alpha.start()
    check("nowhere: and when it is over", until("HF-E-122", lambda: codes(pair, 0)[-1:] == ["HF-E-122"], 30))


def block(pair, _):
    durability(pair, "sync", "--when-alone", "block")
    compare(pair, "block: before")
    pair.forwarder.do("hang")
    callers = [Caller(pair.tree / f"blocked-{way}-{number}", way=way) for way in WAYS for number in range(3)]
    victim = Caller(pair.tree / "victim")
    time.sleep(4)
    for caller, way in zip(callers[::3], WAYS):
        check(f"block: {way} waits", caller.waits(0))
    check("block: they are counted", "" if volume(pair)["waiting"] == len(callers) + 1 else volume(pair))

    def plain():
        (pair.tree / "plain").write_text("no fsync")
        (pair.tree / "plain").rename(pair.tree / "renamed")
        (pair.tree / "d1" / "large").read_bytes()
        os.listdir(pair.tree)
        root = os.open(pair.tree, os.O_RDONLY)
        ctypes.CDLL(None).syncfs(root)  # which FUSE is not told of
        os.close(root)
    seconds = timed(plain)
    check("block: what calls no fsync does not wait", "" if seconds < PROMPT else f"{seconds:.1f} s")
    check("block: a caller that is killed ends", victim.killed())
    check("block: unprotect is refused and says why", refused(pair, pair.alpha, 4, "unprotect", pair.tree))
    os.kill(capture_pid(pair), signal.SIGKILL)
    check("block: when the capture worker dies they wait on", callers[0].waits(1))
    check("block: with its successor", until("they wait there", lambda: volume(pair).get("waiting") == len(callers), 10) and volume(pair))
    pair.alpha.kill()
    pair.alpha.start()
    check("block: when the engine was killed they wait on", callers[0].waits(1))
    check("block: after a while it is told", until("HF-E-121", lambda: "HF-E-121" in codes(pair, 0), 20))
    check("block: the status says so", "" if volume(pair)["state"] == "waiting for a replica" else volume(pair))
    pair.forwarder.do("cut")
    pair.forwarder.do("open")
    for caller in callers:
        bad = caller.returns(30)
        if bad:
            break
    check("block: they return when the replica is back", bad)
    # The time of a directory that was not recorded yet is lost with the worker; the next change of it brings it.
    (pair.tree / "afterwards").write_text("")
    check("block: it is told", until("HF-E-122", lambda: codes(pair, 0)[-1:] == ["HF-E-122"], 5))
    compare(pair, "block: afterwards")


def change(pair, _):
    """Modes are changed on the mounted directory, and what makes no sense changes nothing."""
    durability(pair, "semi-sync", "--when-alone", "block")
    compare(pair, "change: before")
    pair.forwarder.do("hang")
    caller = Caller(pair.tree / "a", "4")
    check("change: semi-sync waits", caller.waits(1.5))
    for words in (("sync",), ("async", "--when-alone", "block")):
        check(f"change: {' '.join(words)} of a replica is refused", refused(pair, pair.beta, 4, "durability", pair.replica, *words))
    for words in (("never",), ("sync", "--when-alone", "degrade:0s"), ("--when-alone", "panic")):
        check(f"change: {' '.join(words)} is refused", refused(pair, pair.alpha, 2, "durability", pair.tree, *words))
    check("change: and nothing was changed", "" if durability(pair)["durability"] == "semi-sync" and not caller.waits(0.5) else durability(pair))
    durability(pair, "async")
    check("change: async lets go whoever waits", caller.returns(5))
    seconds = timed(lambda: Caller(pair.tree / "a", "5").returns(10))
    check("change: and nobody waits any more", "" if seconds < PROMPT else f"{seconds:.1f} s")
    pair.forwarder.do("open")
    compare(pair, "change: it streams")
    durability(pair, "sync", "--when-alone", "block")
    pair.alpha.holdfast("unprotect", pair.tree)
    pair.alpha.holdfast("protect", pair.tree, "--store", pair.store)
    check("change: it is kept", "" if (volume(pair)["durability"], volume(pair)["when_alone"]) == ("sync", "block") else volume(pair))
    check("change: and fsync returns with the next mount", Caller(pair.tree / "a", "6").returns(20))
    pair.forwarder.do("hang")
    caller = Caller(pair.tree / "a", "7")
    check("change: when a replica has it", caller.waits(1.5))
    # The mount goes, with force, and its waiters with an error.
    subprocess.run(["umount", "-f", "-l", pair.tree], check=True)
    check("change: a forced unmount ends the waiting", "" if "status" in caller.returns(10) else "it succeeded")
    pair.forwarder.do("open")
    check("change: the mount has ended", until("it can be mounted", lambda: not os.path.ismount(pair.tree), 10))


def begin(pair):
    """A directory that was protected as synchronous and has no replica yet."""
    place = pair.work / "lone"
    tree, store = place / "tree", place / "store"
    tree.mkdir(parents=True)
    pair.alpha.holdfast("protect", tree, "--store", store, "--durability", "sync")
    try:
        caller = Caller(tree / "a")
        check("begin: fsync does not wait for a first copy", caller.returns(8))
        status = json.loads(pair.alpha.holdfast("status", tree, "--json"))["volumes"][0]
        check("begin: and that is told", "" if status["state"] == "degraded" else status)
    finally:
        pair.alpha.holdfast("unprotect", tree, "--forget")


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-durability-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    wanted = sys.argv[1:]
    print(f"seed {seed}")
    try:
        with Network() as network, Pair(network, work) as pair:
            compare(pair, "the first copy")
            begin(pair)
            for case in (promise, kills, degrade, nowhere, block, change):
                if not wanted or case.__name__ in wanted:
                    case(pair, seed)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ended()


main()
