#!/usr/bin/env python3
"""The benchmark of synchronous volumes: what an fsync costs when it waits for a replica.

    test/bench/durability.py [--rounds 3] [--writes 500] [--delay 20]

Two hosts as network namespaces on one machine (test/support/replicated.py), connected by the kernel and once more by a link on which
a round trip takes DELAY ms longer (test/support/lossy_link.py). In every round each mode in turn: 4 KiB written and synced, WRITES times, one after the
other, at random places of a file of 16 MiB. Beside it, in the same round, what the modes are made of: a round trip of as many bytes over
the same link, and the same writes synced on the bare disk of either host.
"""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replicated import Network, Pair, run, until

SUPPORT = Path(__file__).resolve().parents[1] / "support"
BLOCK, FILE_BYTES, ECHO_PORT = 4096, 16 << 20, 4901
MODES = ("async", "semi-sync", "sync")

ECHO = """
import socket, sys
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as server:
    print("ready", flush=True)
    connection = server.accept()[0]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while connection.recv(4096, socket.MSG_WAITALL):
        connection.sendall(bytes(32))
"""
ASKER = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(int(sys.argv[3])):
        begun = time.monotonic()
        connection.sendall(bytes(4096))
        connection.recv(65536)
        print((time.monotonic() - begun) * 1000)
        time.sleep(0.001)
"""


def percentiles(times):
    times = sorted(times)
    return times[len(times) // 2], times[len(times) * 99 // 100]


def synced_writes(path, count):
    """Milliseconds of each."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, FILE_BYTES)
    os.fsync(fd)
    block, times = os.urandom(BLOCK), []
    for _ in range(count):
        os.pwrite(fd, block, random.randrange(FILE_BYTES // BLOCK) * BLOCK)
        begun = time.monotonic()
        os.fsync(fd)
        times.append((time.monotonic() - begun) * 1000)
    os.close(fd)
    return percentiles(times)


def round_trips(network, address, count):
    server = subprocess.Popen([*network.inside("beta"), sys.executable, "-c", ECHO, str(ECHO_PORT)], stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()
        return percentiles([float(line) for line in run(*network.inside("alpha"), sys.executable, "-c", ASKER, address, ECHO_PORT, count).split()])
    finally:
        server.kill()
        server.wait()


def measure(network, work, address, options, what):
    """Rows of the table: name, p50, p99."""
    seen = {}
    with Pair(network, work, target=address, listen="0.0.0.0") as pair:
        for number in range(options.rounds):
            for mode in MODES:
                pair.alpha.holdfast("durability", pair.tree, mode, "--when-alone", "block")
                until("everything is applied", pair.arrived, 60)
                seen.setdefault(mode, []).append(synced_writes(pair.tree / "steady", options.writes))
            until("everything is applied", pair.arrived, 60)
            seen.setdefault("round trip", []).append(round_trips(network, address, min(options.writes, 200)))
            seen.setdefault("flush", []).append(synced_writes(work / "bare", options.writes))
    medians = {name: tuple(statistics.median(column) for column in zip(*rounds)) for name, rounds in seen.items()}
    for name in (*MODES, "round trip", "flush"):
        print(f"| {what}: {name} | {medians[name][0]:.2f} | {medians[name][1]:.2f} |")
    trip, flush = medians["round trip"][0], medians["flush"][0]
    for mode, parts, cost in (("semi-sync", "a round trip and a flush", trip + flush), ("sync", "a round trip and two flushes", trip + 2 * flush), ("semi-sync", "async and a round trip", medians["async"][0] + trip),
                              ("sync", "async, a round trip and a flush", medians["async"][0] + trip + flush)):
        print(f"| {what}: {mode} / {parts} | {medians[mode][0] / cost:.2f} | |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writes", type=int, default=500)
    parser.add_argument("--delay", type=float, default=20)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="holdfast-bench-durability-"))
    print(f"{os.cpu_count()} cores, kernel {os.uname().release}, load {os.getloadavg()[0]:.1f}, medians of {options.rounds} rounds of {options.writes} writes\n")
    print("| fsync of 4 KiB | p50 (ms) | p99 (ms) |\n| --- | --- | --- |", flush=True)
    try:
        with Network() as network:
            near, far = work / "near", work / "far"
            for place in (near, far):
                place.mkdir()
            network.forward()
            measure(network, near, "10.77.2.1", options, "near")
            link = subprocess.Popen([sys.executable, SUPPORT / "lossy_link.py", network.names["alpha"], "10.78.0.1", network.names["beta"], "10.78.0.2", str(options.delay / 2), "0"],
                                    stdout=subprocess.PIPE, text=True)
            try:
                link.stdout.readline()
                measure(network, far, "10.78.0.2", options, f"{options.delay:g} ms away")
            finally:
                link.kill()
                link.wait()
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
