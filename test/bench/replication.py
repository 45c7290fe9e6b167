#!/usr/bin/env python3
"""The benchmark of replication: one command, one run, beside what people would use otherwise.

    test/bench/replication.py [--rounds 3] [--megabytes 512] [--files 20000] [--only lag|stream|first-copy]

Two hosts as network namespaces on one machine (test/support/replicated.py), connected without the forwarder.

    lag         a steady load of fsynced 4 KiB writes, 200 a second: from the write's return until the replica has applied it; beside it
                lsyncd, which watches the directory and starts rsync with what changed (every second at most, its shortest): how long small files need to be
                there under the same load, in a directory that is not protected
    catch-up    the replica's engine is stopped, MEGABYTES are written, it is started: bytes of journal a second until it has them on
                its disk; beside it `zstd -1` through one TLS connection into a file that is synced, of the same bytes, over the same link
    slow link   as catch-up, of text over a link of 4 MB/s, against the time that the same bytes take there when `zstd -1` has packed them
    first copy  FILES small files of a protected directory: from the moment that it is to be sent until its replica has all; beside it rsync over the
                same link, without encryption
    wire        bytes that left the source's namespace for each byte that was written
    CPU         seconds of both engines for each GB of journal
"""
import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import ask, engine
from replicated import PORT, Network, Pair, run, until
from volume import cpu_seconds


def sent_bytes(network):
    link = json.loads(run("ip", "-j", "-s", "-n", network.names["alpha"], "link", "show", "eth0"))[0]
    return int(link["stats64"]["tx"]["bytes"])


def engine_cpu(pair):
    return sum(cpu_seconds(host.engine_process()) for host in (pair.alpha, pair.beta))


def edge(host):
    return engine(host.work / "run/engine.sock", "GET", "/v1/status")[1]["edges"][0]


def store_applied(pair, at_least):
    """Waits in the replica's store until it has applied AT_LEAST."""
    place = next(path for path in (pair.beta.work / "run").iterdir() if path.is_dir())
    return ask(place / "store.sock", {"verb": "wait", "lsn": at_least, "timeout_ms": 60000})["applied"]


def lag(pair, seconds=10, rate=200):
    """Milliseconds from the return of an fsynced write to its being applied on the replica."""
    lags, waiting, done = [], [], threading.Event()

    def watch():
        applied = 0
        while not (done.is_set() and not waiting):
            if not waiting:
                time.sleep(0.0005)
                continue
            lsn, _ = waiting[0]
            if applied < lsn:
                applied = store_applied(pair, lsn)
            now = time.monotonic()
            while waiting and waiting[0][0] <= applied:
                lags.append((now - waiting.pop(0)[1]) * 1000)

    import mmap
    import struct
    with open(pair.store / "journal/inflight", "rb") as table:
        head = mmap.mmap(table.fileno(), 4096, prot=mmap.PROT_READ)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    fd = os.open(pair.tree / "steady", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 16 << 20)
    due = time.monotonic()
    for number in range(seconds * rate):
        os.pwrite(fd, os.urandom(4096), number % 4096 * 4096)
        os.fsync(fd)
        returned = time.monotonic()
        waiting.append((struct.unpack_from("<Q", head, 48)[0], returned))  # journal/inflight.h: published
        due += 1 / rate
        time.sleep(max(0, due - time.monotonic()))
    done.set()
    thread.join(60)
    os.close(fd)
    lags.sort()
    return lags[len(lags) // 2], lags[len(lags) * 99 // 100]


@contextlib.contextmanager
def rsync_daemon(network, work, port):
    """A directory on beta's host that is written through rsync's own protocol, without encryption."""
    mirror = work / f"mirror-{port}"
    mirror.mkdir()
    config = work / f"rsyncd-{port}.conf"
    config.write_text(f"use chroot = no\nuid = 0\ngid = 0\n[mirror]\npath = {mirror}\nread only = no\n")
    daemon = subprocess.Popen([*network.inside("beta"), "rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={port}"])
    try:
        until("rsync's daemon listens", lambda: subprocess.run([*network.inside("alpha"), "rsync", f"rsync://10.77.2.1:{port}/"], capture_output=True).returncode == 0, 20)
        yield mirror
    finally:
        daemon.terminate()
        daemon.wait()


LSYNCD = """
settings {{ nodaemon = true, logfile = "{log}", pidfile = "{pid}", insist = true }}
sync {{ default.rsync, source = "{tree}", target = "rsync://10.77.2.1:8731/mirror", delay = 1, rsync = {{ archive = true, inplace = true, whole_file = false }} }}
"""


def lsyncd_lag(network, work, seconds=20, rate=200):
    """Milliseconds from the return of an fsynced small file's write to its being on the other host, under the load of lag()."""
    tree = work / "watched"
    tree.mkdir()
    (tree / "steady").write_bytes(bytes(16 << 20))
    with rsync_daemon(network, work, 8731) as mirror:
        config = work / "lsyncd.conf"
        config.write_text(LSYNCD.format(log=work / "lsyncd.log", pid=work / "lsyncd.pid", tree=tree))
        watcher = subprocess.Popen([*network.inside("alpha"), "lsyncd", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            bad = until("lsyncd has copied what was there", lambda: (mirror / "steady").exists() and (mirror / "steady").stat().st_size == 16 << 20, 30)
            if bad:
                raise SystemExit(f"{bad}\n{(work / 'lsyncd.log').read_text()[-1000:]}")
            lags, waiting = [], {}
            fd = os.open(tree / "steady", os.O_RDWR)
            begin = due = time.monotonic()
            number = 0
            while time.monotonic() < begin + seconds or (waiting and time.monotonic() < begin + seconds + 30):
                if time.monotonic() < begin + seconds:
                    os.pwrite(fd, os.urandom(4096), number % 4096 * 4096)
                    os.fsync(fd)
                    if number % (rate // 10) == 0:
                        with open(tree / f"mark-{number}", "wb") as mark:
                            mark.write(os.urandom(4096))
                            mark.flush()
                            os.fsync(mark.fileno())
                        waiting[number] = time.monotonic()
                    number += 1
                for mark in [mark for mark in waiting if (mirror / f"mark-{mark}").exists()]:
                    lags.append((time.monotonic() - waiting.pop(mark)) * 1000)
                due += 1 / rate
                time.sleep(max(0, due - time.monotonic()))
            os.close(fd)
        finally:
            watcher.terminate()
            watcher.wait()
    if waiting:
        raise SystemExit(f"lsyncd left {len(waiting)} files out")
    lags.sort()
    return lags[len(lags) // 2], lags[len(lags) * 99 // 100]


def write_much(tree, name, megabytes):
    """Half of it can be packed, as files are."""
    with open(tree / name, "wb") as stream:
        for _ in range(megabytes):
            stream.write(os.urandom(512 << 10) + bytes(range(256)) * 2048)
        stream.flush()
        os.fsync(stream.fileno())


def catch_up(pair, network, megabytes, number):
    pair.beta.stop()
    write_much(pair.tree, f"much-{number}", megabytes)
    goal = edge(pair.alpha)["published"]
    sent, cpu, start = sent_bytes(network), cpu_seconds(pair.alpha.engine_process()), time.monotonic()
    pair.beta.start()
    bad = until("the replica has it on its disk", lambda: edge(pair.alpha).get("durable", 0) >= goal, 300)
    if bad:
        raise SystemExit(bad)
    seconds = time.monotonic() - start
    cpu = engine_cpu(pair) - cpu
    wire = sent_bytes(network) - sent
    bad = until("everything is applied", pair.arrived, 300)
    if bad:
        raise SystemExit(bad)
    return megabytes / seconds, wire / (megabytes << 20), cpu / (megabytes / 1024), megabytes / (time.monotonic() - start)


PLAIN_SERVER = """
import os, socket, ssl, subprocess, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
with socket.create_server(("10.77.2.1", 4900)) as server, open(sys.argv[3], "wb") as target:
    with context.wrap_socket(server.accept()[0], server_side=True) as channel:
        unpacker = subprocess.Popen(["zstd", "-dqc"], stdin=subprocess.PIPE, stdout=target)
        try:
            while data := channel.recv(1 << 17):
                unpacker.stdin.write(data)
        except ssl.SSLEOFError:
            pass
        unpacker.stdin.close()
        unpacker.wait()
    os.fsync(target.fileno())
"""
PLAIN_CLIENT = """
import socket, ssl, subprocess, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
packer = subprocess.Popen(["zstd", "-1", "-qc", sys.argv[1]], stdout=subprocess.PIPE)
with context.wrap_socket(socket.create_connection(("10.77.2.1", 4900)), suppress_ragged_eofs=True) as channel:
    while data := packer.stdout.read(1 << 17):
        channel.sendall(data)
    channel.shutdown(socket.SHUT_WR)
    try:
        while channel.recv(4096):  # until the server has everything; closing earlier would reset the connection
            pass
    except OSError:
        pass
"""


def plain_copy(pair, network, megabytes, number):
    """zstd -1 through one TLS connection into a synced file."""
    work = pair.work
    key, certificate = work / "plain.key", work / "plain.pem"
    if not key.exists():
        run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=plain", "-days", "2")
    target = work / "plain.out"
    server = subprocess.Popen([*network.inside("beta"), sys.executable, "-c", PLAIN_SERVER, certificate, key, target])
    time.sleep(0.5)
    start = time.monotonic()
    run(*network.inside("alpha"), sys.executable, "-c", PLAIN_CLIENT, pair.tree / f"much-{number}")
    server.wait(120)
    seconds = time.monotonic() - start
    if target.stat().st_size != megabytes << 20:
        raise SystemExit(f"the plain copy has {target.stat().st_size} bytes")
    target.unlink()
    return megabytes / seconds


SLOW_LINK_MB = 4


def write_text(path, megabytes):
    """Program text, over and over, in another order each time."""
    texts = [text.read_bytes() for text in sorted(Path(__file__).resolve().parents[2].rglob("*.cc"))]
    dice = random.Random(1)
    with open(path, "wb") as stream:
        while stream.tell() < megabytes << 20:
            dice.shuffle(texts)
            for text in texts:
                stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def slow_link(pair, network, megabytes):
    """How much sooner it is there than `zstd -1` alone would have it, and the bytes on the wire for one written."""
    pair.beta.stop()
    path = pair.tree / "text"
    write_text(path, megabytes)
    goal = edge(pair.alpha)["published"]
    packed = len(subprocess.run(["zstd", "-1", "-qc", path], stdout=subprocess.PIPE, check=True).stdout)
    device = [*network.inside("alpha"), "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", f"{SLOW_LINK_MB * 8}mbit", "burst", "128k", "latency", "100ms"]
    run(*device)
    try:
        sent, start = sent_bytes(network), time.monotonic()
        pair.beta.start()
        bad = until("the replica has it on its disk", lambda: edge(pair.alpha).get("durable", 0) >= goal, 300)
        if bad:
            raise SystemExit(bad)
        seconds, wire = time.monotonic() - start, sent_bytes(network) - sent
        print(f"slow link: level {edge(pair.alpha)['packing_level']} in the end, {seconds:.1f} s", flush=True)
    finally:
        run(*network.inside("alpha"), "tc", "qdisc", "del", "dev", "eth0", "root")
    path.unlink()
    return packed / (SLOW_LINK_MB * 1e6) / seconds, wire / (megabytes << 20)


def many_files(tree, count):
    for number in range(count):
        place = tree / f"dir{number // 500}"
        place.mkdir(exist_ok=True)
        (place / f"file{number}").write_bytes(os.urandom(number % 3000))


def first_copy(network, work, files):
    """Seconds until FILES small files are applied on a new replica, and those of rsync."""
    tree = work / "tree"
    pair = Pair(network, work, fill=False, target="10.77.2.1")
    many_files(tree, files)
    os.sync()
    with rsync_daemon(network, work, 8730) as mirror:
        start = time.monotonic()
        run(*network.inside("alpha"), "rsync", "-aHAX", f"{tree}/", "rsync://10.77.2.1:8730/mirror/")
        run("sync", "-f", mirror)
        rsync_seconds = time.monotonic() - start
    with pair:
        # Asked of the engine's socket: the command's start, twenty times a second, would be part of what is measured.
        def has_all():
            seen = edge(pair.alpha)
            return seen["state"] == "streaming" and seen.get("applied", -1) >= seen["published"]

        bad = until("everything is applied", has_all, 600)
        if bad:
            raise SystemExit(bad)
        seconds = time.monotonic() - pair.began
        if pair.differences(pair.tree, pair.replica / "image"):
            raise SystemExit("the first copy is no copy")
    return seconds, rsync_seconds


def first_copy_rows(network, _work, options):
    copies = [in_directory(lambda network, work: first_copy(network, work, options.files), network) for _ in range(options.rounds)]
    return [(f"first copy of {options.files} small files (s)", statistics.median(ours for ours, _ in copies), ""),
            ("rsync of the same (s)", statistics.median(theirs for _, theirs in copies), ""),
            ("rsync / first copy", statistics.median(theirs / ours for ours, theirs in copies), "1")]


def in_directory(measure, network):
    work = Path(tempfile.mkdtemp(prefix="holdfast-bench-replication-"))
    try:
        return measure(network, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def lag_rows(network, work, options):
    with Pair(network, work, target="10.77.2.1") as pair:
        until("the beginning is applied", pair.arrived, 120)
        ours = [lag(pair) for _ in range(options.rounds)]
    theirs = [in_directory(lsyncd_lag, network) for _ in range(options.rounds)]
    rows = []
    for number, (name, goal) in enumerate((("p50", "10"), ("p99", "100"))):
        lags, others = statistics.median(each[number] for each in ours), statistics.median(each[number] for each in theirs)
        rows += [(f"lag {name} (ms)", lags, goal), (f"lsyncd's {name} (ms)", others, ""), (f"lsyncd / lag {name}", others / lags, "")]
    return rows


def stream_rows(network, work, options):
    rows = []
    with Pair(network, work, target="10.77.2.1") as pair:
        until("the beginning is applied", pair.arrived, 120)
        ours, plain = [], []
        for number in range(options.rounds):
            ours.append(catch_up(pair, network, options.megabytes, number))
            plain.append(plain_copy(pair, network, options.megabytes, number))
            (pair.tree / f"much-{number}").unlink()
            until("everything is applied", pair.arrived, 300)
        rates = [statistics.median(column) for column in zip(*ours)]
        rows.append(("catch-up, on the replica's disk (MiB/s)", rates[0], ""))
        rows.append(("zstd -1 through one TLS connection, synced (MiB/s)", statistics.median(plain), ""))
        rows.append(("catch-up / that", rates[0] / statistics.median(plain), "1"))
        rows.append(("catch-up until applied (MiB/s)", rates[3], ""))
        rows.append(("bytes on the wire for a byte written, half of them packable", rates[1], ""))
        rows.append(("CPU of both engines (s for a GB)", rates[2], ""))
        slow = [slow_link(pair, network, options.megabytes) for _ in range(options.rounds)]
        rows.append((f"slow link: time of `zstd -1` over {SLOW_LINK_MB} MB/s / ours", statistics.median(ratio for ratio, _ in slow), "1"))
        rows.append(("slow link: bytes on the wire for a byte of text", statistics.median(wire for _, wire in slow), ""))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--only", choices=("lag", "stream", "first-copy"))
    options = parser.parse_args()
    rows = []
    print(f"{os.cpu_count()} cores, kernel {os.uname().release}, load {os.getloadavg()[0]:.1f}, medians of {options.rounds} rounds\n", flush=True)
    with Network() as network:
        network.forward()
        for name, measure in (("lag", lag_rows), ("stream", stream_rows), ("first-copy", first_copy_rows)):
            if options.only in (None, name):
                rows += in_directory(lambda network, work: measure(network, work, options), network)
    print("| figure | measured | goal |\n| --- | --- | --- |")
    for name, value, goal in rows:
        print(f"| {name} | {value:.3g} | {goal} |")


main()
