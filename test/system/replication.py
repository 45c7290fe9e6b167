#!/usr/bin/env python3
"""Replication between hosts that meet only over a bad network.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1

Hosts are network namespaces with state and run directories of their own. While a directory is written, something happens; when
it is over, everything must have arrived: rsync finds no difference between the directory and the replica's image, and at
every bookmark none between the two pasts.

    replication.py [case ...]
"""
import os
import random
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replicated import PORT, Network, Pair, compare, run, until
from verdict import check, ended
from writer import Writer



def compare_pasts(pair, names):
    ours, theirs = pair.work / "past-alpha", pair.work / "past-beta"
    for place in (ours, theirs):
        place.mkdir()
    try:
        pair.alpha.holdfast("mount-past", pair.tree, ours)
        pair.beta.holdfast("mount-past", pair.replica, theirs)
        for name in names:
            check(f"bookmark {name} is the same past on both hosts", pair.differences(ours / f"@{name}", theirs / f"@{name}"))
    finally:
        for place in (ours, theirs):
            if os.path.ismount(place):
                run("umount", place)


def in_a_while(action, undo=None, after=0.6, hold=1.5):
    time.sleep(after)
    action()
    if undo:
        time.sleep(hold)
        undo()


def faults(pair):
    """What happens while the directory is being written: a sentence, and how."""
    forwarder = pair.forwarder

    def restart(host):
        host.kill()
        time.sleep(0.3)
        host.start()

    def kill_store():
        for line in run("ps", "-eo", "pid=,args=").splitlines():
            pid, words = line.split(None, 1)
            if "holdfast-store run" in words and str(pair.replica) in words:
                os.kill(int(pid), signal.SIGKILL)
        check("an event tells of the store's death", until("it is told", lambda: "HF-E-204" in [event["code"] for event in pair.beta.events()], 10))

    def replica(verb):
        pair.alpha.holdfast("replica", verb, pair.tree, "beta")
        check(f"a replica can be told to {verb}", until("it has", lambda: (pair.alpha.edge()["state"] == "suspended") == (verb == "suspend"), 5))

    text = pair.alpha.config.read_text()

    def limit(line):
        pair.alpha.configure(text + line)
        if line:
            before = pair.alpha.edge()["durable"]
            time.sleep(1)
            # A piece of half a second that was under way may still come.
            taken = pair.alpha.edge()["durable"] - before
            check("a limit of 64 KiB a second is kept", "" if taken < 1 << 20 else f"{taken} bytes of journal arrived in a second")

    return {
        "nothing happens": lambda: time.sleep(1.5),
        "the link is cut": lambda: in_a_while(lambda: forwarder.do("cut"), lambda: forwarder.do("open")),
        "the link hangs for longer than the silence that is borne": lambda: in_a_while(lambda: forwarder.do("hang"), lambda: forwarder.do("open"), hold=12),
        "100 ms each way": lambda: in_a_while(lambda: forwarder.do("delay 100"), lambda: forwarder.do("delay 0"), hold=3),
        "1 Mbit/s": lambda: in_a_while(lambda: forwarder.do("rate 125000"), lambda: forwarder.do("rate 0"), hold=4),
        "a bit is flipped": lambda: in_a_while(lambda: forwarder.do("flip")),
        "the stream is truncated": lambda: in_a_while(lambda: forwarder.do("truncate")),
        "bytes are replayed": lambda: in_a_while(lambda: forwarder.do("replay")),
        "the replica's engine is killed": lambda: in_a_while(lambda: restart(pair.beta)),
        "the source's engine is killed": lambda: in_a_while(lambda: restart(pair.alpha)),
        "the replica's store is killed": lambda: in_a_while(kill_store),
        "the replica is suspended and resumed": lambda: in_a_while(lambda: replica("suspend"), lambda: replica("resume")),
        "the source's configuration limits it": lambda: in_a_while(lambda: limit('limit = "64K"\n'), lambda: limit(""), hold=3),
    }


def quiet_link(pair):
    """A connection that is made anew while nothing is written: the source knows again what is applied, and its figures say so."""
    before, told = pair.alpha.edge(), (pair.alpha.events() or [{"number": 0}])[-1]["number"]
    pair.forwarder.do("cut")
    check("a cut is noticed", until("it has", lambda: pair.alpha.edge()["state"] != "streaming", 20))
    away = pair.alpha.edge()
    check("what a replica has is known while it is away", "" if (away.get("applied"), away.get("behind_bytes")) == (before["applied"], 0) else away)
    pair.forwarder.do("open")
    compare(pair, "a quiet link is cut")
    after = pair.alpha.edge()
    check("a new connection is one more session", "" if after["sessions"] == before["sessions"] + 1 else after)
    codes = [event["code"] for event in pair.alpha.events(told)]
    check("events tell of the loss and of the return", "" if codes[:1] == ["HF-E-102"] and codes[-1:] == ["HF-E-101"] else codes)
    check("the lag is told, and it is none", "" if after.get("lag_ns") == 0 else after)
    check("the replica's own figures agree", "" if (there := pair.beta.edge())["applied"] == after["applied"] and there["behind_bytes"] == 0 and there["stream_bytes"] > 0 else there)
    check("no fewer bytes went over the wire than before", "" if after["wire_sent_bytes"] > before["wire_sent_bytes"] > 0 < before["wire_received_bytes"] else after)


def strangers(pair, work):
    """Who is not known gets nothing in, and those who are do not notice."""
    def raw(payload):
        with socket.create_connection(("10.77.2.1", PORT), timeout=5) as connection:
            connection.sendall(payload)
            connection.settimeout(20)
            try:
                return connection.recv(4096)
            except (TimeoutError, ConnectionError):
                return b""

    beta_peers = pair.beta.holdfast("peer", "list", "--json")
    script = work / "stranger.py"
    script.write_text(f'''
import socket, ssl, subprocess, sys
kind, key, certificate = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["holdfast/1"] if kind != "pairing" else ["holdfast-pair/1"])
if kind == "old": context.maximum_version = ssl.TLSVersion.TLSv1_2
if key != "-": context.load_cert_chain(certificate, key)
try:
    with socket.create_connection(("10.77.2.1", {PORT}), timeout=5) as plain:
        if kind == "garbage":
            plain.sendall(bytes(range(256)) * 64)
            print("closed" if plain.recv(4096) in (b"",) or True else "open")
            sys.exit()
        with context.wrap_socket(plain) as channel:
            channel.settimeout(10)
            channel.sendall(b"HNFR" + bytes(200))
            got = channel.recv(4096)
            print("ADMITTED" if got else "closed")
except (ssl.SSLError, ConnectionError) as error:
    print("refused", error)
''')
    for kind, algorithm in (("ed25519", ["ed25519"]), ("rsa", ["rsa:2048"])):
        run("openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-keyout", work / f"{kind}.key", "-out", work / f"{kind}.pem", "-subj", "/CN=stranger", "-days", "2")
    matrix = [("no certificate", "link", "-", "-"), ("a stranger's key", "link", work / "ed25519.key", work / "ed25519.pem"),
              ("a key of another kind", "link", work / "rsa.key", work / "rsa.pem"), ("TLS 1.2", "old", work / "ed25519.key", work / "ed25519.pem"),
              ("pairing while no code is shown", "pairing", work / "ed25519.key", work / "ed25519.pem"), ("bytes that are no TLS", "garbage", "-", "-")]
    def refused(what, kind, key, certificate):
        got = run(*pair.network.inside("gamma"), sys.executable, script, kind, key, certificate).strip()
        check(f"a stranger with {what} is refused", "" if got.startswith(("refused", "closed")) else got)

    for row in matrix:
        refused(*row)
    pair.beta.holdfast("pair", "--json")
    refused("a wrong proof with more behind it while a code is shown", "pairing", work / "ed25519.key", work / "ed25519.pem")
    check("no stranger became a peer", "" if beta_peers == pair.beta.holdfast("peer", "list", "--json") else "the list of peers has changed")


def main():
    wanted = sys.argv[1:]
    work = Path(tempfile.mkdtemp(prefix="holdfast-replication-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network:
            run(*network.inside("gamma"), "ip", "route", "add", "10.77.2.0/24", "via", "10.77.3.9")
            run(*network.inside("beta"), "ip", "route", "add", "10.77.3.0/24", "via", "10.77.2.9")
            run(*network.inside("between"), "sysctl", "-qw", "net.ipv4.ip_forward=1")
            with Pair(network, work) as pair:
                compare(pair, "what was there before")
                names = []
                for number, (what, happen) in enumerate(faults(pair).items()):
                    if wanted and not any(word in what for word in wanted):
                        continue
                    writer = Writer(pair.tree, seed + number)
                    writer.start()
                    try:
                        happen()
                        names.append(f"after-{number}")
                        pair.alpha.holdfast("bookmark", "create", names[-1], "--volume", pair.tree)
                    finally:
                        writer.finish()
                    check(f"{what}: the application noticed nothing", writer.error)
                    compare(pair, what)
                quiet_link(pair)
                compare_pasts(pair, names)
                strangers(pair, work)
                compare(pair, "after the strangers")
                pair.beta.holdfast("peer", "revoke", "alpha")
                codes = {event["code"] for event in pair.beta.events()}
                check("events tell of strangers and of the revoked peer", {"HF-E-303", "HF-E-304"} - codes)
                check("a revoked peer is cut off within a second or two", until("the source is not streaming", lambda: pair.alpha.edge()["state"] != "streaming", 3))
            check("the engines end when they are told to", pair.complaints)
            ended(lambda: f"{pair.alpha.tail()}\n---\n{pair.beta.tail()}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
