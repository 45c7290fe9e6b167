#!/usr/bin/env python3
"""Replication under what a network between hosts does not do: full disks, clocks that jump, peers that speak otherwise. Far away: long_link.py.

    namespace alpha                                         namespace beta
      10.77.1.1  ── 10.77.1.0/24 ── namespace between ── 10.77.2.0/24 ──  10.77.2.1
      holdfastd (source)                                       holdfastd (replica)

Whatever happens, everything has arrived when it is over: rsync finds no difference between the directory and the replica's image.

    replication_adversity.py [case ...]        replica_full, source_full, clocks, speakers
"""
import ctypes
import errno
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from disk import Disk
from fake_clock import FakeClock, library
from replicated import PORT, Network, Pair, compare, run, until
from verdict import check, ended
from writer import Writer


def write_while(pair, seed, happen):
    writer = Writer(pair.tree, seed)
    writer.start()
    try:
        happen()
    finally:
        writer.finish()
    return writer.error


def replica_full(network, work, seed):
    """The replica's disk is full for a while."""
    with Disk(work, "small", 400) as disk, Pair(network, work, replica=disk.place / "replica") as pair:
        compare(pair, "replica's disk full: before")

        def fill():
            disk.fill()
            # More than the space that is allocated ahead.
            for number in range(6):
                (pair.tree / f"large-{number}").write_bytes(os.urandom(16 << 20))
            # It goes on trying, and says why.
            check("a full disk of the replica is told", until("the source or the replica says why", lambda: "space" in str(pair.alpha.edge()) + str(pair.beta.edge()) + pair.beta.tail(), 30))
            time.sleep(2)
            disk.make_room()

        check("replica's disk full: the application noticed nothing", write_while(pair, seed, fill))
        compare(pair, "replica's disk full", 120)


def source_full(network, work, seed):
    """The source's disk is full for a while: programs are told so or wait (the policy `block`), and what they were told was written arrives."""
    with Disk(work, "source", 400) as disk, Pair(network, work, disk=disk.place) as pair:
        compare(pair, "source's disk full: before")
        taken, refused = [], []

        def grow():
            for number in range(200):
                try:
                    with open(pair.tree / f"grow-{number % 20}", "ab") as stream:
                        stream.write(os.urandom(200_000))
                    taken.append(number)
                except OSError as error:
                    refused.append(error.errno)

        disk.fill()
        program = threading.Thread(target=grow, daemon=True)
        program.start()
        time.sleep(5)
        check("a program on a full disk is told so, or waits", "" if refused or program.is_alive() else f"all of its writes were taken: {len(taken)}")
        check("what it is told is that the disk is full", [code for code in refused if code != errno.ENOSPC])
        disk.make_room()
        program.join(60)
        check("it goes on when there is room", program.is_alive() and f"{len(taken)} writes were taken, {len(refused)} refused")
        check("source's disk full: afterwards the application notices nothing", write_while(pair, seed, lambda: time.sleep(2)))
        compare(pair, "source's disk full", 120)


def clocks(network, work, seed):
    """The clock of either engine jumps, forward and back (libfaketime; monotonic time goes on)."""
    if not library():
        print("skipped: the package faketime is not there")
        return
    with Pair(network, work) as pair:
        faked = {host: FakeClock(host) for host in (pair.alpha, pair.beta)}
        compare(pair, "clocks: before")
        for number, (host, jump) in enumerate([(pair.alpha, "+3600"), (pair.beta, "-86400"), (pair.alpha, "-86400"), (pair.beta, "+864000")]):

            what = f"the clock of {host.name} jumps to {jump} s"

            def happen():
                time.sleep(0.5)
                faked[host].jump(jump)
                host.holdfast("config", "reload")
                said = [line for line in host.tail().splitlines() if "was read again" in line][-1]
                away = datetime.fromisoformat(said.split()[0]).replace(tzinfo=timezone.utc).timestamp() - time.time()
                check(f"{what}: it has jumped", "" if abs(away - int(jump)) < 60 else said)
                time.sleep(2)

            check(f"{what}: the application noticed nothing", write_while(pair, seed + number, happen))
            check(f"{what}: the connection lives", until("streaming", lambda: pair.alpha.edge()["state"] == "streaming", 20))
            compare(pair, what)


class Speaker:
    """Says to beta what it likes, with alpha's own key."""

    xxhash = ctypes.CDLL("libxxhash.so.0")
    xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
    xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]

    @classmethod
    def hash(cls, data, seed=0):
        return cls.xxhash.XXH3_64bits_withSeed(data, len(data), seed)

    @classmethod
    def frame(cls, kind, payload, term=1, magic=0x52464E48, flags=0, stored=None):
        size, now = len(payload) if stored is None else stored, time.time_ns()

        def header(checksum):
            return struct.pack("<IHHIIQQQQ", magic, kind, flags, size, size, term, now, cls.hash(payload), checksum)

        return header(cls.hash(payload, cls.hash(header(0)))) + payload

    @classmethod
    def hello(cls, volume, oldest=1, version=1, role=1, flags=2, segment_bytes=64 << 20, published=64 << 20):
        return cls.frame(1, struct.pack("<HHI16sQIIQQQ16s", oldest, version, role, volume, segment_bytes, 0, flags, 0, 0, published, bytes(16)))

    @staticmethod
    def say(network, identity, words):
        """What beta answers, as bytes."""
        script = f'''
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["holdfast/1"])
context.load_cert_chain({str(identity)!r})
got = b""
try:
    with socket.create_connection(("10.77.2.1", {PORT}), timeout=5) as plain, context.wrap_socket(plain) as channel:
        channel.settimeout(8)
        channel.sendall(bytes.fromhex(sys.stdin.read()))
        while data := channel.recv(65536):
            got += data
except (ssl.SSLError, OSError) as error:
    print(repr(error), file=sys.stderr)
sys.stdout.buffer.write(got)
'''
        done = subprocess.run([*network.inside("gamma"), sys.executable, "-c", script], input=words.hex().encode(), stdout=subprocess.PIPE, timeout=60)
        return done.stdout


def speakers(network, work, seed):
    """A peer with the right key that speaks another version, or nonsense, gets nothing in and breaks nothing."""
    with Pair(network, work) as pair:
        compare(pair, "speakers: before")
        before = pair.beta.edge()["received"]
        pair.alpha.kill()
        identity = next((pair.alpha.work / "state").rglob("identity.pem"))
        volume = bytes.fromhex(pair.id.replace("-", ""))
        goodbye = lambda got: struct.pack("<IH", 0x52464E48, 9) in got
        dice = random.Random(seed)
        hello = Speaker.hello(volume)
        words = {
            "only newer versions": (Speaker.hello(volume, oldest=4, version=5), True),
            "only older versions": (Speaker.hello(volume, oldest=0, version=0), True),
            "a newer version that speaks ours too": (Speaker.hello(volume, oldest=1, version=7), None),
            "flags of a greeting that nobody knows": (Speaker.hello(volume, flags=0x80), None),
            "as a replica to a replica": (Speaker.hello(volume, role=2), True),
            "of a volume that is not kept": (Speaker.hello(bytes(16)), True),
            "segments of another size": (Speaker.hello(volume, segment_bytes=2 << 20), None),
            "another program's magic": (Speaker.frame(1, bytes(80), magic=0x11111111), None),
            "a frame with a wrong checksum": (hello[:-1] + bytes([hello[-1] ^ 1]), None),
            "a frame of an unknown type after its greeting": (hello + Speaker.frame(77, b"x"), True),
            "unknown flags of a frame after its greeting": (hello + Speaker.frame(8, bytes(8), flags=0x4000), True),
            "a frame of two gigabytes": (hello + Speaker.frame(6, bytes(16), stored=2 << 30), True),
            "records before anything was agreed": (hello + Speaker.frame(6, struct.pack("<QQ", before, before + 64) + bytes(64)), True),
            "its greeting twice": (hello + hello, True),
            "a verdict that sends the replica back to the beginning": (hello + Speaker.frame(4, struct.pack("<IIQ", 2, 0, 4096)), None),
            "half a greeting": (hello[:70], None),
            "its greeting, and nonsense": (hello + dice.randbytes(4096), None),
            "nonsense": (dice.randbytes(100_000), None),
        }
        for what, (said, wants_goodbye) in words.items():
            got = Speaker.say(network, identity, said)
            bad = "" if pair.beta.engine.poll() is None and pair.beta.answers() else "the engine of beta is gone"
            if wants_goodbye and not goodbye(got):
                bad = bad or f"no goodbye: {got[:200]}; {pair.beta.tail()[-400:]}"
            check(f"a peer says: {what}", bad)
        pair.alpha.start()
        check("speakers: the application noticed nothing", write_while(pair, seed, lambda: time.sleep(1)))
        compare(pair, "after all that was said")
        run_out = pair.beta.holdfast("verify", pair.replica).strip().splitlines()[-1]
        check("speakers: the replica verifies", "" if "no problem" in run_out else run_out)


CASES = {case.__name__: case for case in (replica_full, source_full, clocks, speakers)}


def main():
    wanted = sys.argv[1:] or list(CASES)
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    for name in wanted:
        work = Path(tempfile.mkdtemp(prefix=f"holdfast-{name}-"))
        try:
            with Network() as network:
                run(*network.inside("gamma"), "ip", "route", "add", "10.77.2.0/24", "via", "10.77.3.9")
                run(*network.inside("beta"), "ip", "route", "add", "10.77.3.0/24", "via", "10.77.2.9")
                run(*network.inside("between"), "sysctl", "-qw", "net.ipv4.ip_forward=1")
                CASES[name](network, work, seed)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    ended()


main()
