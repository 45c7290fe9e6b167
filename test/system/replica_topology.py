#!/usr/bin/env python3
"""Several replicas of one volume, and one that is sent on to a third host.

    alpha 10.77.1.1 ──┬── beta  10.77.2.1 ────── delta 10.77.4.1
    the source        │   the middle             a replica of the replica
    (loop device)     └── gamma 10.77.3.1
                          limited

Each edge goes through a forwarder of its own in the namespace between (10.77.N.9), so that one is cut and the others are not.

One that is slow, away or suspended holds nobody else. The middle's engine is killed, its disk is set back to an earlier state, and the source's is:
each time the others follow. Whenever it is quiet, rsync finds no difference between the directory and any image, and the journals
are the source's, byte for byte.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from disk import Disk
from replicated import BUILD, Network, until
from topology import Topology, compare_all
from verdict import check, ended
from volume import run
from writer import Writer

EDGES = [("alpha", "beta"), ("alpha", "gamma"), ("beta", "delta")]
LIMIT = 400 << 10


class Load:
    def __init__(self, topology, seed):
        self.writer = Writer(topology.tree, seed)

    def __enter__(self):
        self.writer.start()

    def __exit__(self, *_):
        self.writer.finish()
        check("the application noticed nothing", self.writer.error)


def configurations(topology):
    """What a configuration may ask for, and what it may not."""
    beta = topology.hosts["beta"]
    text = beta.config.read_text()

    def refusal(more):
        file = topology.work / "other.toml"
        file.write_text(text + more)
        answer = subprocess.run([BUILD / "tools/holdfast", "config", "check", "--config", file], env=beta.environment, capture_output=True, text=True)
        return answer.returncode, answer.stderr + answer.stdout

    for volume in (topology.id, topology.replica("beta"), topology.replica("beta") / "image/", f"{topology.replica('beta')}/./"):
        code, why = refusal(f'[[send]]\nvolume = "{volume}"\nto = "alpha"\n')
        check(f"sent to where it comes from, as {str(volume)[-12:]}: refused", "" if code == 2 and "from where a [[keep]] takes it" in why else f"{code} {why}")
    code, why = refusal(f'[[send]]\nvolume = "{topology.id}"\nto = "delta"\n')
    check("sent twice under two names: refused", "" if code == 2 and "under two names" in why else f"{code} {why}")
    code, why = refusal(f'[[send]]\nvolume = "{topology.id}"\nto = "gamma"\n')
    check("sent to two hosts: taken", "" if code == 0 else f"{code} {why}")
    shown = beta.holdfast("engine", "status")
    check("the middle's status shows both of its edges", "" if "source" in shown and "replica" in shown and "delta" in shown and "alpha" in shown else shown)


def each_on_its_own(topology, seed):
    """Slow, away, suspended: the others do not wait, and nobody loses anything."""
    random.seed(seed)
    (topology.tree / "much").write_bytes(random.randbytes(4 << 20))
    end = topology.published()
    began = time.monotonic()
    check("slow: the others have it", until("applied", lambda: topology.arrived("beta", end) and topology.arrived("delta", end), 8))
    check("slow: while the limited one has not", f"after {time.monotonic() - began:.1f} s: {topology.edge('gamma')}" if topology.arrived("gamma", end) else "")
    compare_all(topology, "slow")
    check("slow: its limit was kept", "" if time.monotonic() - began > (4 << 20) / LIMIT * 0.8 else f"{time.monotonic() - began:.1f} s")
    for away in topology.edges:
        others = {"beta": ["gamma"], "gamma": ["beta", "delta"], "delta": ["beta", "gamma"]}[away]
        topology.edges[away].forwarder.do("cut")
        with Load(topology, seed):
            time.sleep(1.5)
        compare_all(topology, f"{away} away", replicas=others)
        check(f"{away} away: it is", f"{topology.edge(away)}" if topology.arrived(away) else "")
        topology.edges[away].forwarder.do("open")
        compare_all(topology, f"{away} back")
    topology.hosts["beta"].holdfast("replica", "suspend", topology.replica("beta"), "delta")
    with Load(topology, seed + 1):
        time.sleep(1)
    compare_all(topology, "delta suspended", replicas=["beta", "gamma"])
    check("delta suspended: it says so", "" if topology.edge("delta")["state"] == "suspended" else topology.edge("delta"))
    topology.hosts["beta"].holdfast("replica", "resume", topology.replica("beta"), "delta")
    compare_all(topology, "delta resumed")


def kills(topology, seed):
    """Engines die under load, the middle's most of all."""
    dice = random.Random(seed)
    with Load(topology, seed):
        for name in ("beta", "delta", "beta", "alpha", "beta", "gamma", "beta"):
            time.sleep(dice.random() * 1.2)
            topology.hosts[name].kill()
            time.sleep(dice.random() * 0.5)
            topology.hosts[name].start()
    compare_all(topology, "engines killed")


def middle_set_back(topology, disk, seed):
    """The middle loses what it had, and what it sent on: as after a power cut, and more of it."""
    beta = topology.hosts["beta"]
    beta.stop()
    disk.remember()
    beta.start()
    with Load(topology, seed):
        time.sleep(1.5)
    compare_all(topology, "before the middle is set back")
    topology.edges["beta"].forwarder.do("cut")  # so that what it sends on meets a replica that is ahead
    beta.stop()
    disk.set_back()
    sessions = topology.edge("delta", "replica")["sessions"]
    beta.start()
    check("middle set back: the replica behind it is asked back and follows", until("streaming", lambda: topology.edge("delta", "replica")["sessions"] > sessions, 60))
    check("middle set back: it is where the middle is", until("it is", lambda: topology.edge("delta")["durable"] == topology.edge("delta")["published"], 20) and topology.edge("delta"))
    topology.edges["beta"].forwarder.do("open")
    with Load(topology, seed + 1):
        time.sleep(1)
    compare_all(topology, "middle set back")


def source_set_back(topology, disk, seed, moves_on, kills_middle):
    """MOVES_ON: the source is written before its replicas hear of it; else they are ahead of it, and nothing comes that would show it."""
    what = "source set back" + (" and written" if moves_on else "") + (", the middle killed while it goes back" if kills_middle else "")
    disk.remember()
    with Load(topology, seed):
        time.sleep(1)
    topology.alpha.holdfast("bookmark", "create", f"lost-{seed}", "--volume", topology.tree)
    compare_all(topology, f"{what}: before")
    kept = {name: len(list((topology.replica(name) / "discarded").glob("*"))) for name in topology.edges}
    topology.alpha.kill()
    run("umount", topology.tree)
    disk.set_back()
    if moves_on:
        topology.mount()
        with Load(topology, seed + 1):
            time.sleep(0.5)
    topology.alpha.start()
    if kills_middle:
        time.sleep(random.Random(seed).random())
        topology.hosts["beta"].kill()
        topology.hosts["beta"].start()
    if not moves_on:
        back = lambda: all(topology.edge(name)["state"] == "streaming" and topology.edge(name).get("applied") == topology.published() for name in topology.edges)
        check(f"{what}: all are where it is", until("they are", back, 60) and [topology.edge(name) for name in topology.edges])
        topology.mount()
    with Load(topology, seed + 2):
        time.sleep(1)
    compare_all(topology, what)
    for name in topology.edges:
        marks = json.loads(topology.hosts[name].holdfast("bookmark", "list", "--volume", topology.replica(name), "--json"))["bookmarks"]
        check(f"{what}: {name} does not tell of what was lost", str(marks) if any(mark["name"] == f"lost-{seed}" for mark in marks) else "")
        check(f"{what}: {name} keeps aside what it had", "" if len(list((topology.replica(name) / "discarded").glob("*"))) > kept[name] else "there is nothing")


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-topology-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network, Disk(work, "source", 1024) as source, Disk(work, "middle", 1024) as middle:
            disks = {"alpha": source.place, "beta": middle.place}
            with Topology(network, work, EDGES, disks, {"gamma": f'limit = "{LIMIT >> 10}K"\n'}) as topology:
                compare_all(topology, "at first")
                configurations(topology)
                each_on_its_own(topology, seed)
                topology.alpha.configure(topology.configuration("alpha", {}))
                kills(topology, seed + 10)
                middle_set_back(topology, middle, seed + 20)
                for number, (moves_on, kills_middle) in enumerate([(False, False), (True, False), (False, True), (True, True)]):
                    source_set_back(topology, source, seed + 30 + 10 * number, moves_on, kills_middle)
                for name in topology.edges:
                    print(topology.hosts[name].holdfast("verify", topology.replica(name)).strip().splitlines()[-1])
            check("the engines end when they are told to", topology.complaints)
            ended(topology.tails)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
