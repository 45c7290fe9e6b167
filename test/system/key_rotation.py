#!/usr/bin/env python3
"""Hosts that get a new key while they replicate.

    alpha 10.77.1.1 ──┬── beta  10.77.2.1       each edge through a forwarder of its own (10.77.1.9)
    the source        └── gamma 10.77.3.1

Under load alpha's key is rotated, beta's, and both at once, while engines are killed. Nobody is paired again, streams notice a reconnect and nothing
more, and a host that shows the key that was retired is refused. A peer that is away is waited for and learns the key when it comes back; one
that does not come within the time is not waited for.
"""
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replicated import Network, until
from topology import Topology, compare_all
from verdict import check, ended
from writer import Writer


class Load:
    """A writer that rests while hosts are compared."""

    def __init__(self, topology, seed):
        self.topology, self.seed, self.writer = topology, seed, None
        self.go_on()

    def go_on(self):
        self.seed += 1
        self.writer = Writer(self.topology.tree, self.seed)
        self.writer.start()

    def rest(self):
        self.writer.finish()
        check("the application noticed nothing", self.writer.error)

    def compare(self, what, replicas=None):
        self.rest()
        compare_all(self.topology, what, replicas=replicas)
        self.go_on()


def peers(host):
    return json.loads(host.holdfast("peer", "list", "--json"))


def key(host):
    return peers(host)["key"]


def keys_of(host, peer):
    return next(one["keys"] for one in peers(host)["peers"] if one["name"] == peer)


def is_over(host):
    return "next_key" not in peers(host)


def identity(host):
    return host.work / "state" / "engine" / "identity.pem"


def settled(topology, what, host, others, old):
    """HOST shows another key, and OTHERS know that one alone."""
    check(f"{what}: the next key is adopted", until("it is", lambda: is_over(host), 20) and peers(host))
    new = key(host)
    check(f"{what}: it is another one", "" if new != old else new)
    for other in others:
        check(f"{what}: {other.name} knows the new key alone", until("it does", lambda: keys_of(other, host.name) == [new], 20) and keys_of(other, host.name))
    return new


def sessions(topology):
    return {name: topology.edge(name, "replica")["sessions"] for name in topology.edges}


def rotate(topology, load, name, others):
    host, others = topology.hosts[name], [topology.hosts[other] for other in others]
    old, before = key(host), sessions(topology)
    kept = identity(host).read_bytes()
    host.holdfast("key", "rotate")
    settled(topology, f"{name} rotates", host, others, old)
    load.compare(f"{name} rotates")
    after = sessions(topology)
    for other in topology.edges if name == "alpha" else [name]:
        check(f"{name} rotates: the stream to {other} had one reconnect", "" if after[other] == before[other] + 1 else f"{before} {after}")
    return kept


def retired(topology, load, name, old_identity):
    """A host that shows a key that was retired is a stranger."""
    host = topology.hosts[name]
    host.stop()
    new_identity = identity(host).read_bytes()
    identity(host).write_bytes(old_identity)
    host.start()
    edge = lambda: topology.edge("beta")
    check(f"{name} with its retired key: refused", until("a reason is told", lambda: edge()["state"] != "streaming" and edge().get("why"), 20) and edge())
    time.sleep(2)
    check(f"{name} with its retired key: it stays so", "" if edge()["state"] != "streaming" else edge())
    host.stop()
    identity(host).write_bytes(new_identity)
    host.start()
    load.compare(f"{name} with its new key again")


def both_at_once(topology):
    alpha, beta, gamma = (topology.hosts[name] for name in ("alpha", "beta", "gamma"))
    old = key(alpha), key(beta)
    alpha.holdfast("key", "rotate")
    beta.holdfast("key", "rotate")
    settled(topology, "both at once", alpha, [beta, gamma], old[0])
    settled(topology, "both at once", beta, [alpha], old[1])


def killed(topology, seed):
    """Whoever dies in the middle goes on with it."""
    dice = random.Random(seed)
    for number in range(4):
        alpha, beta, gamma = (topology.hosts[name] for name in ("alpha", "beta", "gamma"))
        old = key(alpha)
        alpha.holdfast("key", "rotate")
        time.sleep(dice.random() * 0.6)
        who = dice.choice([alpha, beta])
        who.kill()
        who.start()
        settled(topology, f"{who.name} killed meanwhile, {number}", alpha, [beta, gamma], old)


def away(topology, load):
    alpha, beta, gamma = (topology.hosts[name] for name in ("alpha", "beta", "gamma"))
    topology.edges["gamma"].forwarder.do("cut")
    until("gamma is away", lambda: topology.edge("gamma")["state"] != "streaming", 20)
    old = key(alpha)
    alpha.holdfast("key", "rotate", "--within", "90s")
    check("one is away: the others keep the next key", until("they do", lambda: len(keys_of(beta, "alpha")) == 2, 20))
    time.sleep(2)
    check("one is away: it is waited for", "" if peers(alpha).get("waiting_for") == ["gamma"] and key(alpha) == old else peers(alpha))
    check("one is away: a person sees it", "" if "Not told yet: gamma" in alpha.holdfast("peer", "list") else alpha.holdfast("peer", "list"))
    alpha.kill()
    alpha.start()
    topology.edges["gamma"].forwarder.do("open")
    settled(topology, "one is back", alpha, [beta, gamma], old)
    load.compare("one is back")

    topology.edges["gamma"].forwarder.do("cut")
    until("gamma is away", lambda: topology.edge("gamma")["state"] != "streaming", 20)
    old = key(alpha)
    alpha.holdfast("key", "rotate", "--within", "4s")
    settled(topology, "one does not come", alpha, [beta], old)
    said = [event for event in alpha.events() if event["code"] == "HF-E-307"]
    check("one does not come: a person is told", "" if len(said) == 1 and said[0]["peer"] == "gamma" else alpha.events())
    topology.edges["gamma"].forwarder.do("open")
    time.sleep(3)
    check("one does not come: it refuses the new key", "" if topology.edge("gamma")["state"] != "streaming" else topology.edge("gamma"))
    load.compare("one did not come", ["beta"])
    for host, other in ((gamma, "alpha"), (alpha, "gamma")):
        host.holdfast("peer", "revoke", other)
    code = json.loads(gamma.holdfast("pair", "--json"))["code"]
    alpha.holdfast("pair", topology.edges["gamma"].address, "--code", code)
    load.compare("paired again")


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-keys-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network, Topology(network, work, [("alpha", "beta"), ("alpha", "gamma")]) as topology:
            compare_all(topology, "at first")
            load = Load(topology, seed)
            time.sleep(0.5)
            old = rotate(topology, load, "alpha", ["beta", "gamma"])
            rotate(topology, load, "beta", ["alpha"])
            both_at_once(topology)
            killed(topology, seed)
            away(topology, load)
            retired(topology, load, "alpha", old)
            load.rest()
            compare_all(topology, "in the end")
        check("the engines end when they are told to", topology.complaints)
        ended(topology.tails)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
