#!/usr/bin/env python3
"""A full journal under the policy `degrade`, and what becomes of replicas of a volume whose history paused and went on.

                    ┌── beta  10.77.2.1   stays away with most of the journal, and is cut off so that the gap can end
    alpha 10.77.1.1 ├── gamma 10.77.3.1   stays away until the journal is full and it is cut off; is back, and follows into the gap and out of it
    the source      └── delta 10.77.4.1   stays away with less than half of the journal until the gap is over, and keeps its place

A load changes the directory throughout. While gamma alone keeps the journal, nobody waits: it is warned of, and loses its place. Then the store service stops
taking anything: writers wait for the patience of `degrade` and no longer, readers do not, and a gap begins. When the service goes on the gap
ends under the load. Every replica ends up with the directory; each shows the moments before and after the gap as the source does, and none inside. The engine tells
of the gap's beginning and end once each, however many replicas there are.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import ask
from gap_healing import Load
from replicated import BUILD, Network, until
from topology import Topology
from verdict import check, ended

MEBIBYTE = 1 << 20
JOURNAL = 62  # MiB: 31 segments, so that 80 % of it come before a replica is cut off
PATIENCE = 30  # seconds, of `degrade`
REPLICAS = ("beta", "gamma", "delta")


class Prober(threading.Thread):
    """Writes a little and reads a little all the time, and remembers how long each took."""

    def __init__(self, tree):
        super().__init__(daemon=True)
        self.place, self.ending, self.error = tree / "probe", threading.Event(), ""
        self.writes, self.reads = [], []

    def run(self):
        try:
            reader = threading.Thread(target=self.read, daemon=True)
            self.place.write_bytes(b"-" * 4096)
            reader.start()
            with open(self.place, "r+b", buffering=0) as stream:
                while not self.ending.is_set():
                    self.writes.append(self.timed(lambda: os.pwrite(stream.fileno(), os.urandom(4096), 0)))
                    time.sleep(0.05)
            reader.join()
        except Exception as error:
            self.error = repr(error)

    def read(self):
        while not self.ending.is_set():
            self.reads.append(self.timed(lambda: (os.listdir(self.place.parent), os.stat(self.place))))
            time.sleep(0.05)

    @staticmethod
    def timed(call):
        began = time.monotonic()
        call()
        return began, time.monotonic() - began

    @staticmethod
    def longest(times, since=0):
        return max((took for began, took in times if began >= since), default=0)

    def finish(self):
        self.ending.set()
        self.join()
        check("the prober met no error", self.error)


class Source:
    """What the test asks of the protected directory on alpha."""

    def __init__(self, topology):
        self.topology, self.tree = topology, topology.tree

    def status(self):
        return json.loads(self.topology.alpha.holdfast("status", self.tree, "--json"))["volumes"][0]

    def ask(self, socket):
        return ask(next(Path(self.topology.alpha.environment["HOLDFAST_RUN_DIR"]).glob(f"*/{socket}")), {"verb": "status"})

    def gap(self):
        return self.ask("capture.sock")["gap"]

    def cursors(self):
        """The address from which on each consumer keeps the journal, by its name."""
        found = {}
        for name in ("store", *(f"replica-{name}" for name in REPLICAS)):
            with contextlib.suppress(FileNotFoundError):
                found[name] = int((self.topology.store / "journal/cursors" / name).read_text().split()[3])
        return found

    def write(self, mebibytes, name):
        with open(self.tree / name, "ab") as stream:
            for _ in range(mebibytes):
                stream.write(os.urandom(MEBIBYTE))
                stream.flush()

    def evidence(self):
        """Why a gap does not end."""
        status = {key: self.status().get(key) for key in ("state", "gap", "journal_bytes", "journal_bytes_max", "published", "applied", "checkpoint")}
        edges = {name: self.topology.edge(name) for name in REPLICAS}
        return f"{status}\n{self.cursors()}\n{edges}\n" + (self.topology.store / "log").read_text(errors="replace")[-2500:]

    def bookmark(self, name):
        self.topology.alpha.holdfast("bookmark", "create", name, "--volume", self.tree)

    def told(self, code):
        return [event for event in self.topology.alpha.events() if event["code"] == code]


def answer(host, volume, moment):
    """Whether HOST offers MOMENT of VOLUME, and what it says."""
    done = subprocess.run([str(host.build / "tools/holdfast"), "ls", str(volume), "--at", moment], capture_output=True, text=True, env=host.environment)
    return done.returncode, done.stdout + done.stderr


def offers(host, volume, moment, what, is_wanted):
    code, said = answer(host, volume, moment)
    check(what, "" if code == (0 if is_wanted else 3) and (is_wanted or "changes were not captured" in said) else f"{code} {said[:400]}")


def a_replica_that_stays_away(topology, source, prober):
    topology.alpha.holdfast("replica", "suspend", topology.tree, "gamma")
    since = time.monotonic()
    while topology.edge("gamma")["behind_bytes"] < JOURNAL * MEBIBYTE * 805 // 1000:
        source.write(1, "away")
    told = lambda: [event for event in source.told("HF-E-111")]
    check("it is told that the journal fills", until("HF-E-111", told, 15) or ("" if [event["peer"] for event in told()] == ["gamma"] else told()))
    check("it keeps its place as long as there is room", "" if "replica-gamma" in source.cursors() else source.cursors())
    # Addresses are more than bytes: what a segment leaves unused at its end is no file.
    for _ in range(JOURNAL):
        if "replica-gamma" in source.cursors():
            source.write(1, "away")
    check("it is cut off when the journal is nearly full", until("its cursor is gone", lambda: "replica-gamma" not in source.cursors(), 20))
    check("the others are not", "" if {"replica-beta", "replica-delta"} <= set(source.cursors()) else source.cursors())
    check("for a replica nobody waits, and history goes on", "" if source.gap() is None and prober.longest(prober.writes, since) < PATIENCE / 3 else f"{source.gap()} {prober.longest(prober.writes, since)} s")
    check("it is told once", "" if len(told()) == 1 else told())
    topology.alpha.holdfast("replica", "resume", topology.tree, "gamma")
    end = topology.published()
    check("it is compared when it is back", until("it arrived", lambda: topology.arrived("gamma", end), 60) and topology.edge("gamma"))


def the_store_stands_still(topology, source, prober, load):
    """Returns the pid of the store service, which is stopped, and a time inside of the gap."""
    source.bookmark("before")
    for name in REPLICAS:
        check(f"{name} has what was before the gap", until("its bookmark", lambda: answer(topology.hosts[name], topology.replica(name), "before")[0] == 0, 30))
    # The store's own cursor is saved with its checkpoints, every five seconds; what the scene before wrote is kept until then.
    check("the journal is nearly empty", until("it has room", lambda: source.status()["journal_bytes"] <= JOURNAL * MEBIBYTE // 6, 30) and source.evidence())
    pid = source.ask("store.sock")["pid"]
    os.kill(pid, signal.SIGSTOP)
    # Otherwise beta would keep a segment that the store does not, and would be cut off for it.
    check("no replica keeps more than the store", until("their cursors", lambda: (cursors := source.cursors())["store"] == min(cursors.values()), 10) and source.cursors())
    topology.alpha.holdfast("replica", "suspend", topology.tree, "beta")
    source.write(JOURNAL * 6 // 10, "full")
    check("delta has most of it", until("it is there", lambda: topology.edge("delta").get("durable", 0) >= topology.edge("delta")["published"] - MEBIBYTE, 30))
    time.sleep(1.5)
    topology.alpha.holdfast("replica", "suspend", topology.tree, "delta")
    began = time.monotonic()
    # No more than it takes for the gap to begin: what is written in it comes into the journal when it ends, and delta is to keep less than half of that.
    for _ in range(JOURNAL):
        if source.gap() is None:
            source.write(1, "full")
    waited = prober.longest(prober.writes, began)
    check("a gap begins", until("the gap", lambda: source.gap(), 5) or ("" if source.gap()["state"] == "paused" else source.gap()))
    check("writers wait as long as the patience, and no longer", "" if PATIENCE - 2 <= waited <= PATIENCE + 4 else f"{waited:.1f} s")
    check("readers do not", "" if prober.longest(prober.reads, began) < 5 else f"{prober.longest(prober.reads, began):.1f} s")
    print(f"     longest write {waited:.2f} s, longest read {prober.longest(prober.reads, began):.2f} s", flush=True)
    load.touched.clear()
    since = time.monotonic()
    time.sleep(3)
    check("in the gap nobody waits", "" if prober.longest(prober.writes, since) < 2 else f"{prober.longest(prober.writes, since)} s")
    check("it is told that history is paused", until("HF-E-123", lambda: source.told("HF-E-123"), 5))
    return pid, time.time_ns()


def who_hangs_is_named(topology, pid):
    """Commands end, and say which process does not answer."""
    for words, what in ((("status", "--json"), "status"), (("status",), "status for people"), (("ls", topology.tree), "ls")):
        began = time.monotonic()
        done = subprocess.run([str(word) for word in (BUILD / "tools/holdfast", *words)], capture_output=True, text=True, env=topology.alpha.environment)
        took, said = time.monotonic() - began, done.stdout + done.stderr
        check(f"a store service that is stopped: {what} names it and ends", "" if done.returncode == 7 and f"process {pid}" in said and took < 20 else f"{done.returncode} {took:.1f} s {said}")
        if words[-1] == "--json":
            volume = json.loads(done.stdout)["volumes"][0]
            check("and shows the rest", "" if volume["state"] == "not answering" and volume["gap"]["state"] == "paused" and volume["journal_bytes"] > 0 else volume)


def what_follows_is_in_the_gap(topology):
    """A replica that has followed into the gap offers no present, as its source does not."""
    gamma, replica = topology.hosts["gamma"], topology.replica("gamma")
    gone_in = lambda: answer(gamma, replica, "now")[0] != 0
    check("the replica that follows offers no moment in the gap", until("now is refused", gone_in, 15))
    offers(gamma, replica, "now", "and says why", False)
    offers(gamma, replica, "before", "it offers what was before", True)


def heals(topology, source, pid, load):
    os.kill(pid, signal.SIGCONT)
    check("the gap ends under the load", until("it ends", lambda: source.gap() is None, 60) and source.evidence())
    healed = source.ask("store.sock")["healed"]
    print(f"     touched {len(load.touched)} paths: {json.dumps(healed)}", flush=True)
    check("it is told that history goes on", until("HF-E-124", lambda: source.told("HF-E-124"), 5))
    for code in ("HF-E-123", "HF-E-124"):
        events = source.told(code)
        check(f"{code} is told once, of the directory", "" if len(events) == 1 and events[0]["volume"] == str(topology.tree) else events)
        print(f"     {events[0]['sentence']}" if events else "", flush=True)
    check("nothing is told of a mount", source.told("HF-E-125"))
    return healed


def every_replica_is_the_directory(topology):
    for name in REPLICAS:
        check(f"{name}: everything arrives", until("it arrived", lambda: topology.arrived(name), 90) and f"{topology.edge(name)} {topology.hosts[name].tail()[-1500:]}")
        check(f"{name}: its tree is the directory", until("equal", lambda: not topology.differences(name), 10) and topology.differences(name))


def same_past(topology, name, host, replica):
    """The bookmark NAME on HOST is the same as on the source."""
    past = {}
    try:
        for who, volume, place in ((topology.alpha, topology.tree, topology.work / "past-alpha"), (host, replica, topology.work / f"past-{host.name}")):
            place.mkdir(exist_ok=True)
            who.holdfast("mount-past", volume, place)
            past[who.name] = (who, place)
        left, right = (place / f"@{name}" for _, place in past.values())
        done = subprocess.run(["rsync", "-naHAX", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", f"{left}/", f"{right}/"], capture_output=True, text=True)
        check(f"{host.name}: @{name} is the same past as on the source", done.stdout + done.stderr)
    finally:
        for who, place in past.values():
            who.holdfast("umount-past", place)


def histories(topology, source, healed, inside_ns):
    source.bookmark("after")
    inside = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(inside_ns // 10**9))
    end = healed["gap_end"]
    for name in ("alpha", *REPLICAS):
        host = topology.hosts[name]
        volume = topology.tree if name == "alpha" else topology.replica(name)
        check(f"{name}: it has the bookmark made afterwards", until("after", lambda: answer(host, volume, "after")[0] == 0, 20) and answer(host, volume, "after"))
        offers(host, volume, "now", f"{name}: the present is offered", True)
        # Who was cut off in the gap has another past until it was repaired, which was after it.
        if name != "beta":
            offers(host, volume, f"lsn:{end}", f"{name}: the first moment after the gap is offered", True)
            offers(host, volume, f"lsn:{end - 8}", f"{name}: a moment inside of it is not", False)
            offers(host, volume, "before", f"{name}: the last bookmark before it is", True)
        check(f"{name}: nothing is offered by a time inside of it", "it is" if answer(host, volume, inside)[0] == 0 else "")
    for name, bookmarks in (("gamma", ("before", "after")), ("delta", ("before", "after")), ("beta", ("after",))):
        for bookmark in bookmarks:
            same_past(topology, bookmark, topology.hosts[name], topology.replica(name))


def tell_of(topology):
    repaired = {name: [event["peer"] for event in topology.alpha.events() if event["code"] == "HF-E-105"].count(name) for name in REPLICAS}
    # A comparison that a load outruns begins again.
    check("only who was cut off was compared again", "" if repaired["beta"] >= 2 and repaired["gamma"] >= 2 and repaired["delta"] == 1 else repaired)


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        sys.exit(77)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 10 ** 9
    print(f"seed {seed}", flush=True)
    with Network() as network, tempfile.TemporaryDirectory(prefix="holdfast-gaps-", dir="/var/tmp") as work:
        options = ("--journal-max", f"{JOURNAL}M", "--full-policy", "degrade")
        with Topology(network, Path(work), [("alpha", name) for name in REPLICAS], protect=options) as topology:
            source, stopped = Source(topology), None
            for name in REPLICAS:
                check(f"{name} is filled", until("it arrived", lambda: topology.arrived(name), 60) and topology.edge(name))
            load, prober = Load(topology.tree, seed, 0.02), Prober(topology.tree)
            load.start()
            prober.start()
            try:
                a_replica_that_stays_away(topology, source, prober)
                stopped, inside_ns = the_store_stands_still(topology, source, prober, load)
                what_follows_is_in_the_gap(topology)
                who_hangs_is_named(topology, stopped)
                check("no replica has lost its place for the gap", "" if {f"replica-{name}" for name in REPLICAS} <= set(source.cursors()) else source.cursors())
                healed = heals(topology, source, stopped, load)
                check("who kept it from ending was cut off, and nobody else", "" if set(source.cursors()) & {f"replica-{name}" for name in REPLICAS} == {"replica-gamma", "replica-delta"} else source.cursors())
                for name in ("beta", "delta"):
                    topology.alpha.holdfast("replica", "resume", topology.tree, name)
                time.sleep(2)
            finally:
                if stopped:
                    os.kill(stopped, signal.SIGCONT)
                load.finish()
                prober.finish()
            every_replica_is_the_directory(topology)
            histories(topology, source, healed, inside_ns)
            tell_of(topology)
        check("engines end in order", topology.complaints)
    ended()


if __name__ == "__main__":
    main()
