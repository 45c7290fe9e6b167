#!/usr/bin/env python3
"""Hosts of this version and of the one before it, in either direction, and an upgrade of one after the other under load.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  (forwards)  ── 10.77.2.0/24 ──  10.77.2.1
      holdfastd (source)                                                    holdfastd (replica) :4848

    versions.py [BUILD]     a build directory of the version before; without it, that is built first, in a directory of its own, from this repository's history

The version before is the last commit that speaks an older protocol. Everything arrives whatever the two are: rsync finds no difference.
"""
import os
import re
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
    with Pair(network, work, target="10.77.2.1", protect=(), builds=builds, send=send) as pair:
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
    with Pair(network, work, target="10.77.2.1", protect=(), builds=(before, before)) as pair:
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


def main():
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="holdfast-versions-") as place:
        before = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else built(Path(place))
        cases = ((together, "a new source, an old replica", (BUILD, before), "streams = 4\n"), (together, "an old source, a new replica", (before, BUILD), ""), (upgrade, before))
        for case, *arguments in cases:
            with Network() as network, tempfile.TemporaryDirectory(dir="/var/tmp", prefix="holdfast-versions-") as work:
                case(network, Path(work), *arguments)
    return ended()


if __name__ == "__main__":
    sys.exit(main())
