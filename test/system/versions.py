#!/usr/bin/env python3
"""Hosts of this version and of the one before it, in either direction, and an upgrade of one after the other under load.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  (forwards)  ── 10.77.2.0/24 ──  10.77.2.1
      holdfastd (source)                                                    holdfastd (replica) :4848

    versions.py [BUILD]     a build directory of the version before; without it, that is built first, in a directory of its own, from this repository's history

The version before is the last commit that speaks an older protocol. Everything arrives whatever the two are: rsync finds no difference.

Earlier versions could begin a journal with the whole tree (`--for-replicas`). A source of such a version fills an empty replica of this one from it; and a store that
was made so, and whose journal is kept from its first byte for a replica that never came, goes on under this version without being kept.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "test/support"))
from replicated import BUILD, Network, Pair, compare, run, until
from verdict import check, ended
from writer import Writer

WIRE_FORMAT = "replicator/protocol/wire_format.h"
SPOKEN = re.compile(r"#define HF_WIRE_VERSION (\d+)")


def spoken_at(commit):
    return int(SPOKEN.search(run("git", "-C", SOURCE, "show", f"{commit}:{WIRE_FORMAT}"))[1])


def version_before():
    now = int(SPOKEN.search((SOURCE / WIRE_FORMAT).read_text())[1])
    commits = run("git", "-C", SOURCE, "log", "--format=%H", "--", WIRE_FORMAT).split()
    return next(commit for commit in commits if spoken_at(commit) < now)


def built(place):
    """The programs of the version before, in a build directory under PLACE."""
    run("git", "clone", "-q", SOURCE, place / "before")
    run("git", "-C", place / "before", "checkout", "-q", version_before())
    subprocess.run(["cmake", "--preset", "dev"], cwd=place / "before", check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", "build/dev", "holdfastd", "holdfast-store", "holdfast", "mount.fuse.holdfast"], cwd=place / "before", check=True, stdout=subprocess.DEVNULL)
    return place / "before/build/dev"


def together(network, work, what, builds, send):
    network.forward()
    with Pair(network, work, target="10.77.2.1", builds=builds, send=send) as pair:
        compare(pair, f"{what}: the first copy")
        writer = Writer(pair.tree, 1)
        writer.start()
        time.sleep(3)
        pair.beta.kill()
        time.sleep(0.5)
        pair.beta.start()
        time.sleep(2)
        writer.finish()
        check(f"{what}: the application noticed nothing", writer.error)
        compare(pair, what)
        said = pair.beta.holdfast("compare", pair.replica, "alpha")
        check(f"{what}: the two find each other identical", "" if said.startswith("Identical") else said)
        check(f"{what}: over one connection", "" if pair.alpha.edge().get("streams", 1) == 1 else str(pair.alpha.edge()))


def upgrade(network, work, before):
    """The replica first, as the manual says, then the source, under load."""
    network.forward()
    with Pair(network, work, target="10.77.2.1", builds=(before, before)) as pair:
        compare(pair, "upgrade: before")
        writer = Writer(pair.tree, 2)
        writer.start()
        for host in (pair.beta, pair.alpha):
            time.sleep(1)
            host.stop()
            host.install(BUILD)
            host.start()
            check(f"upgrade: it streams with {host.name} upgraded", until("streaming", lambda: pair.alpha.edge()["state"] == "streaming", 30))
        time.sleep(1)
        writer.finish()
        check("upgrade: the application noticed nothing", writer.error)
        compare(pair, "upgrade")


def begun_whole(network, work, before):
    network.forward()
    with Pair(network, work, target="10.77.2.1", protect=("--for-replicas",), builds=(before, BUILD)) as pair:
        compare(pair, "a journal that begins with the tree: an old source fills a new replica")
        case = pair.alpha.edge().get("handshake")
        check("a journal that begins with the tree: from its first byte", "" if case == "behind" else case)
        pair.alpha.stop()
        pair.alpha.holdfast("unprotect", pair.tree)
        pair.alpha.install(BUILD)
        pair.alpha.holdfast("protect", pair.tree, "--store", pair.store)
        pair.alpha.start()
        (pair.tree / "later").write_bytes(os.urandom(1 << 20))
        compare(pair, "a journal that begins with the tree: the source upgraded")
        check("a journal that begins with the tree: nothing was compared again", [event for event in pair.alpha.events() if event["code"] == "HF-E-105"])
        pair.beta.stop()
        shutil.rmtree(pair.replica)
        pair.beta.start()
        compare(pair, "a journal that begins with the tree: its replica lost its disk")


class NeverFollowed(Pair):
    """Made by the version before for a replica that never came, and gone on with by a script that knows nothing of this version."""

    def protected(self):
        cursors = self.store / "journal/cursors"
        check("never followed: the version before keeps all of it", "" if "seed" in {path.name for path in cursors.iterdir()} else "it does not")
        self.alpha.holdfast("unprotect", self.tree)
        self.alpha.install(BUILD)
        said = self.alpha.holdfast("protect", self.tree, "--store", self.store, "--for-replicas")
        check("never followed: the option is taken, and said to do nothing", "" if "--for-replicas was ignored" in said else said)
        # More than the journal may hold.
        for number in range(24):
            (self.tree / f"more{number}").write_bytes(os.urandom(2 << 20))
        self.alpha.holdfast("wait", self.tree)
        volume = json.loads(self.alpha.holdfast("status", self.tree, "--json"))["volumes"][0]
        check("never followed: nothing is kept for it any more", "" if not volume["in_gap"] and volume["journal_bytes"] <= 32 << 20 else volume)


def never_followed(network, work, before):
    network.forward()
    with NeverFollowed(network, work, target="10.77.2.1", protect=("--for-replicas", "--journal-max", "32M"), builds=(before, BUILD)) as pair:
        compare(pair, "never followed: a replica is filled by comparison")


def main():
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="holdfast-versions-") as place:
        before = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else built(Path(place))
        cases = ((together, "a new source, an old replica", (BUILD, before), "streams = 4\n"), (together, "an old source, a new replica", (before, BUILD), ""), (upgrade, before), (begun_whole, before),
                 (never_followed, before))
        for case, *arguments in cases:
            with Network() as network, tempfile.TemporaryDirectory(dir="/var/tmp", prefix="holdfast-versions-") as work:
                case(network, Path(work), *arguments)
    return ended()


if __name__ == "__main__":
    sys.exit(main())
