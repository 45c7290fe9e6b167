#!/usr/bin/env python3
"""Hosts that are taken out of their streams, rebooted, and put back.

    alpha 10.77.1.1 ──── beta 10.77.2.1 ──── delta 10.77.4.1      each edge through a forwarder of its own
    the source           the middle          a replica of the replica

Source, middle and last replica in turn: prepared under load, engine stopped (or killed) and started, written meanwhile, done. What goes over the wire
afterwards is what was written, no peer takes it for an alarm, and a host that cannot be prepared says who is behind and changes nothing.
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
from replicated import BUILD, Network, until
from topology import Topology, compare_all
from verdict import check, ended
from volume import run
from writer import Writer

ALARMS = ("HF-E-102", "HF-E-103", "HF-E-202", "HF-E-304")
PEERS = {"alpha": [("beta", "HF-E-215")], "beta": [("alpha", "HF-E-115"), ("delta", "HF-E-215")], "delta": [("beta", "HF-E-115")]}


def maintenance(host):
    return json.loads(host.holdfast("engine", "status", "--json"))["maintenance"]


def attempt(host, *words):
    answer = subprocess.run([BUILD / "tools/holdfast", "maintenance", *words], env=host.environment, capture_output=True, text=True, timeout=120)
    return answer.returncode, answer.stderr + answer.stdout


def last_event(host):
    return json.loads(host.holdfast("events", "--json"))["last"]


def edges_of(topology, name):
    return json.loads(topology.hosts[name].holdfast("engine", "status", "--json"))["edges"]


def reboot(host, kills):
    host.kill() if kills else host.stop()
    host.start()


def rebooted(topology, name, seed, kills):
    """Prepared under load, rebooted, written meanwhile, done."""
    what = f"{name} in maintenance"
    host = topology.hosts[name]
    writer = Writer(topology.tree, seed)
    writer.start()
    time.sleep(0.5)
    since = {peer: last_event(topology.hosts[peer]) for peer, _ in PEERS[name]}
    code, said = attempt(host, "prepare", "--timeout", "60s")
    check(f"{what}: prepared", "" if code == 0 and "is in maintenance" in said else f"{code} {said}")
    check(f"{what}: its edges are at rest", "" if all(edge["state"] == "maintenance" for edge in edges_of(topology, name)) else edges_of(topology, name))
    code, said = attempt(host, "prepare")
    check(f"{what}: a second time is refused", "" if code != 0 and "in maintenance already" in said else f"{code} {said}")
    for _ in range(2):
        reboot(host, kills)
        check(f"{what}: it still is", "" if maintenance(host)["state"] == "prepared" else maintenance(host))
    time.sleep(1.5)
    writer.finish()
    check(f"{what}: the application noticed nothing", writer.error)
    check(f"{what}: and its status says so", "" if "is in maintenance until" in host.holdfast("engine", "status") else host.holdfast("engine", "status"))
    host.kill()  # for longer, so that peers meet nobody
    time.sleep(1.5)
    host.start()
    for peer, code in PEERS[name]:
        events = topology.hosts[peer].events(since[peer])
        check(f"{what}: {peer} knows", "" if [event["code"] for event in events].count(code) == 1 else events)
        check(f"{what}: {peer} is not alarmed", [event for event in events if event["code"] in ALARMS])
    known = lambda: all("applied" in topology.edge(replica, "replica") for replica in topology.edges)
    check(f"{what}: what replicas have applied is known", until("it is", known, 20))
    behind = [(replica, topology.edge(replica, "replica")["applied"], topology.edge(replica)["stream_bytes"]) for replica in topology.edges]
    check(f"{what}: done", "" if attempt(host, "done")[0] == 0 else attempt(host, "done"))
    compare_all(topology, what)
    end = topology.published()
    for replica, applied, bytes_before in behind:
        sent, written = topology.edge(replica)["stream_bytes"] - bytes_before, end - applied
        print(f"{what}: {replica} had to get {written} bytes of journal, was sent {sent}, by the handshake {topology.edge(replica)['handshake']}")
        check(f"{what}: {replica} was sent what was written, and nothing else", "" if sent <= written else f"{sent} of {written}")
        check(f"{what}: {replica} went on where it was", "" if topology.edge(replica)["handshake"] in ("same", "behind") else topology.edge(replica))
    code, said = attempt(host, "done")
    check(f"{what}: done twice is refused", "" if code != 0 and "is not in maintenance" in said else f"{code} {said}")


def not_prepared(topology):
    """A replica that is away: nothing changes, and it is named."""
    beta = topology.hosts["beta"]
    topology.edges["delta"].forwarder.do("cut")
    until("delta is away", lambda: topology.edge("delta")["state"] != "streaming", 20)
    (topology.tree / "more").write_bytes(os.urandom(100_000))
    until("beta has it", lambda: topology.arrived("beta"), 20)
    began = time.monotonic()
    code, said = attempt(beta, "prepare", "--timeout", "2s")
    check("a replica is away: not prepared in time", "" if code != 0 and 1.5 < time.monotonic() - began < 10 else f"{code} after {time.monotonic() - began:.1f} s")
    check("a replica is away: it is named, and how much it lacks", "" if '"delta" has not got the last' in said and "is away" in said else said)
    check("a replica is away: nothing changed", "" if maintenance(beta)["state"] == "none" and topology.edge("beta")["state"] == "streaming" else maintenance(beta))
    reboot(beta, True)
    check("a replica is away: nothing was remembered", "" if maintenance(beta)["state"] == "none" else maintenance(beta))
    topology.edges["delta"].forwarder.do("open")
    compare_all(topology, "it is back")
    beta.holdfast("replica", "suspend", topology.replica("beta"), "delta")
    (topology.tree / "and more").write_bytes(os.urandom(100_000))
    until("beta has it", lambda: topology.arrived("beta"), 20)
    code, said = attempt(beta, "prepare", "--timeout", "1s")
    check("a replica is suspended: not prepared, and why", "" if code != 0 and "and is suspended" in said else f"{code} {said}")
    beta.holdfast("replica", "resume", topology.replica("beta"), "delta")
    compare_all(topology, "it is resumed")
    for words, sentence in ((("prepare", "--timeout", "soon"), "not a duration"), (("done",), "is not in maintenance")):
        code, said = attempt(beta, *words)
        check(f"maintenance {' '.join(words)}: refused", "" if code != 0 and sentence in said else f"{code} {said}")


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-maintenance-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network, Topology(network, work, [("alpha", "beta"), ("beta", "delta")]) as topology:
            compare_all(topology, "at first")
            not_prepared(topology)
            for number, name in enumerate(("alpha", "beta", "delta", "beta")):
                rebooted(topology, name, seed + number, number % 2 == 1)
            check("the engines end when they are told to", topology.complaints)
            ended(topology.tails)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
