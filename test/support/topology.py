"""More hosts than two: one source, replicas of its volume, and replicas of those. Each edge has a forwarder of its own in the namespace
between the hosts, so that one can be cut and the others not.

A host N has the address 10.77.N.1 on a link of its own to the namespace between, which is 10.77.N.9 there.
"""
import json
import os
from pathlib import Path

from replicated import PORT, Forwarder, Host, fill, until
from volume import run
from verdict import check

NUMBERS = {"alpha": 1, "beta": 2, "gamma": 3, "delta": 4}


class Edge:
    """SOURCE sends to REPLICA, through a forwarder."""

    def __init__(self, network, work, number, source, replica):
        self.source, self.replica = source, replica
        port = PORT + number
        self.address = f"10.77.{NUMBERS[source]}.9:{port}"
        self.forwarder = Forwarder(network, work, port, f"10.77.{NUMBERS[replica]}.1", f"forwarder-{replica}")


class Topology:
    """EDGES: pairs of names, a source and who it sends to; the first source has the directory. Directory and store of the source lie in DISKS["alpha"]
    when there is one, the replica of a host in DISKS[its name]. PROTECT: more words for the command."""

    def __init__(self, network, work, edges, disks={}, options={}, protect=()):
        self.network, self.work, self.disks, self.options, self.protect = network, work, disks, options, protect
        self.wanted = edges
        place = disks.get("alpha", work)
        self.tree, self.store = place / "tree", place / "store"
        self.tree.mkdir()
        self.hosts, self.heads, self.edges, self.complaints = {}, {}, {}, []

    def replica(self, name):
        return self.disks.get(name, self.work) / f"replica-{name}"

    def __enter__(self):
        try:
            for number, (source, replica) in enumerate(self.wanted):
                self.edges[replica] = Edge(self.network, self.work, number, source, replica)
            for name in ["alpha", *self.edges]:
                text = f'name = "{name}"\n'
                if name in self.edges:
                    text += f'listen = "10.77.{NUMBERS[name]}.1:{PORT}"\naddress = "{self.edges[name].address}"\n'
                self.heads[name] = text
                self.hosts[name] = Host(self.network, name, self.work, text)
            fill(self.tree)
            self.alpha = self.hosts["alpha"]
            self.alpha.holdfast("protect", self.tree, "--store", self.store, *self.protect)
            self.id = json.loads(self.alpha.holdfast("status", self.tree, "--json"))["volumes"][0]["id"]
            for host in self.hosts.values():
                host.start()
            for name, edge in self.edges.items():
                code = json.loads(self.hosts[name].holdfast("pair", "--json"))["code"]
                self.hosts[edge.source].holdfast("pair", edge.address, "--code", code)
            # The last of a chain first, so that each is kept where it is sent to.
            for name in [*reversed(self.edges), "alpha"]:
                self.hosts[name].configure(self.configuration(name))
        except BaseException:
            self.__exit__()
            raise
        return self

    def configuration(self, name, options=None):
        """OPTIONS: more lines for the [[send]] to a host."""
        options = self.options if options is None else options
        text = self.heads[name]
        if name in self.edges:
            text += f'[[keep]]\nvolume = "{self.id}"\nfrom = "{self.edges[name].source}"\nstore = "{self.replica(name)}"\n'
        volume = self.tree if name == "alpha" else self.replica(name)
        for replica, edge in self.edges.items():
            if edge.source == name:
                text += f'[[send]]\nvolume = "{volume}"\nto = "{replica}"\n{options.get(replica, "")}'
        return text

    def edge(self, replica, role="source"):
        """As its source sees it, or as it sees itself."""
        edge = self.edges[replica]
        name, peer = (edge.source, replica) if role == "source" else (replica, edge.source)
        status = json.loads(self.hosts[name].holdfast("engine", "status", "--json"))
        return next(one for one in status["edges"] if one["role"] == role and one["peer"] == peer)

    def published(self):
        return next(self.edge(name)["published"] for name, edge in self.edges.items() if edge.source == "alpha")

    def arrived(self, replica, end=None):
        edge = self.edge(replica)
        return edge["state"] == "streaming" and edge.get("applied", -1) >= (self.published() if end is None else end)

    def differences(self, replica):
        return run("rsync", "-naHAX", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", "--filter=-x trusted.holdfast.*", f"{self.tree}/", f"{self.replica(replica)}/image/").strip()

    def journal_difference(self, replica):
        """The segments that both keep are the same bytes, as far as they are written."""
        end, size = self.published(), 64 << 20
        ours, theirs = self.store / "journal", self.replica(replica) / "journal"
        common = sorted({path.name for path in ours.iterdir() if path.is_file()} & {path.name for path in theirs.iterdir() if path.is_file()} - {"inflight"})
        if not common:
            return "no segment is kept by both"
        for name in common:
            left, right = ((place / name).read_bytes() for place in (ours, theirs))
            if name == common[-1]:
                left, right = left[:end % size], right[:end % size]
            if left != right:
                return f"{name} differs"
        return ""

    def tails(self):
        return "\n---\n".join(f"{name}: {host.tail()}" for name, host in self.hosts.items())

    def mount(self):
        run(self.alpha.environment["HOLDFAST_MOUNT_BIN"], self.store, self.tree, env=self.alpha.environment)

    def __exit__(self, *_):
        for name, host in self.hosts.items():
            self.complaints += [f"{name}: {bad}" for bad in [host.stop()] if bad]
        if os.path.ismount(self.tree):
            self.alpha.holdfast("unprotect", self.tree)
        for edge in self.edges.values():
            edge.forwarder.stop()


def compare_all(topology, what, seconds=90, replicas=None):
    """Everything has arrived everywhere; images and journals are those of the source."""
    for name in replicas or topology.edges:
        bad = until("everything is applied", lambda: topology.arrived(name), seconds)
        check(f"{what}: everything arrived on {name}", bad and f"{bad}\n{topology.edge(name)}\n{topology.edge(name, 'replica')}\n{topology.hosts[name].tail()[-900:]}")
        bad = until("the image equals the directory", lambda: not topology.differences(name), 5)
        check(f"{what}: the image on {name} equals the directory", bad and topology.differences(name))
    for name in replicas or topology.edges:
        check(f"{what}: the journal on {name} is the source's", until("it is", lambda: not topology.journal_difference(name), 5) and topology.journal_difference(name))
