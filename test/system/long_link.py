#!/usr/bin/env python3
"""A session of several connections: over a link that is long and loses packets, and when one of them breaks.

    namespace alpha                                         namespace beta
      10.78.0.1  ── a link that delays and loses packets ──  10.78.0.2
      10.77.1.1  ── 10.77.1.0/24 ── namespace between ── 10.77.2.0/24 ──  10.77.2.1
      holdfastd (source)                                       holdfastd (replica)

Whatever happens, everything has arrived when it is over: rsync finds no difference between the directory and the replica's image.
"""
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
from replicated import PORT, Network, Pair, compare, run, until
from verdict import check, ended
from writer import Writer

CATCH_UP_BYTES = 16 << 20


@contextlib.contextmanager
def long_link(network, delay_ms, loss_percent):
    link = subprocess.Popen([sys.executable, SUPPORT / "lossy_link.py", network.names["alpha"], "10.78.0.1", network.names["beta"], "10.78.0.2", str(delay_ms), str(loss_percent)],
                            stdout=subprocess.PIPE, text=True)
    try:
        check("the link is there", link.stdout.readline().strip() != "ready" and "it is not")
        yield
    finally:
        link.kill()
        link.wait()


def set_streams(pair, number):
    text = "".join(line for line in pair.alpha.config.read_text().splitlines(keepends=True) if not line.startswith("streams"))
    pair.alpha.configure(text + (f"streams = {number}\n" if number else ""))


def has_streams(pair, number):
    return until(f"the session goes over {number} connections", lambda: pair.alpha.edge().get("streams") == number, 30)


def new_session(pair):
    """A session that was made with the configuration as it is now."""
    pair.alpha.holdfast("replica", "suspend", pair.tree, "beta")
    bad = until("it rests", lambda: pair.alpha.edge()["state"] == "suspended")
    pair.alpha.holdfast("replica", "resume", pair.tree, "beta")
    return bad or until("the session is made anew", lambda: pair.alpha.edge()["state"] == "streaming", 30)


def catch_up(pair, number):
    """Seconds that what cannot be packed takes to be on the replica."""
    (pair.tree / f"burst-{number}").write_bytes(os.urandom(CATCH_UP_BYTES))
    began = time.monotonic()
    check(f"burst {number} arrives", until("everything is applied", pair.arrived, 240))
    return time.monotonic() - began


def far(network, work, seed):
    """200 ms there and back, and one packet in a hundred is lost. How much faster several connections are depends on the kernel, and is told."""
    run(*network.inside("alpha"), "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")  # goes by losses, as the default of Debian does
    with long_link(network, 100, 1), Pair(network, work, target="10.78.0.2", listen="0.0.0.0") as pair:
        compare(pair, "far: what was there before", 120)
        check("far: a long link gets several connections by itself", has_streams(pair, 5))
        several = catch_up(pair, 0)
        set_streams(pair, 1)
        check("far: one connection alone", new_session(pair) or has_streams(pair, 1))
        one = catch_up(pair, 1)
        print(f"far: {CATCH_UP_BYTES >> 20} MiB over one connection {one:.1f} s, over five {several:.1f} s; {one / several:.1f} times as fast", flush=True)
        set_streams(pair, 0)
        check("far: and several again", new_session(pair) or has_streams(pair, 5))
        writer = Writer(pair.tree, seed)
        writer.start()
        time.sleep(5)
        writer.finish()
        check("far: the application noticed nothing", writer.error)
        compare(pair, "far", 120)


def ports_of(pair, network):
    """The local ports of the session's connections."""
    lines = run(*network.inside("alpha"), "ss", "-tnH", "state", "established", "dst", f"10.77.2.1:{PORT}").splitlines()
    return sorted(int(line.split()[2].rsplit(":", 1)[1]) for line in lines)


def broken(network, work, seed):
    """Connections break one by one under load: the session is made anew, and goes on where the replica is."""
    network.forward()
    with Pair(network, work, target="10.77.2.1") as pair:
        compare(pair, "broken: what was there before")
        set_streams(pair, 4)
        check("broken: as many connections as the configuration says", has_streams(pair, 4))
        writer = Writer(pair.tree, seed)
        writer.start()
        try:
            for round_number in range(6):
                sessions = pair.alpha.edge()["sessions"]
                ports = ports_of(pair, network)
                check(f"broken, {round_number}: there are four", "" if len(ports) == 4 else str(ports))
                (pair.tree / f"long-{round_number}").write_bytes(os.urandom(4 << 20))
                run(*network.inside("alpha"), "ss", "-K", "state", "established", "sport", f":{ports[round_number % 4]}")
                check(f"broken, {round_number}: the session is made anew",
                      until("one more session", lambda: pair.alpha.edge()["sessions"] > sessions, 30) or has_streams(pair, 4))
        finally:
            writer.finish()
        check("broken: the application noticed nothing", writer.error)
        compare(pair, "broken")
        set_streams(pair, 1)
        check("broken: fewer from the next session on", new_session(pair) or has_streams(pair, 1))
        compare(pair, "broken, over one connection")


def first_copy(network, work, _seed):
    """What the stores say to each other goes over all connections as well."""
    network.forward()
    (work / "tree").mkdir()
    for number in range(12):
        (work / "tree" / f"large-{number}").write_bytes(os.urandom(3 << 20))
    for number in range(500):
        (work / "tree" / f"small-{number}").write_bytes(os.urandom(1000))
    with Pair(network, work, target="10.77.2.1", send="streams = 8\n") as pair:
        compare(pair, "first copy over eight connections")
        check("first copy: there were eight", has_streams(pair, 8))


def main():
    cases = [globals()[name] for name in sys.argv[1:]] or [far, broken, first_copy]
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}", flush=True)
    for case in cases:
        with Network() as network, tempfile.TemporaryDirectory(dir="/var/tmp", prefix="holdfast-long-link-") as work:
            case(network, Path(work), seed)
    return ended()


if __name__ == "__main__":
    sys.exit(main())
