"""Two hosts that replicate a directory, as network namespaces with state and run directories of their own.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1

"""
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

from verdict import check
from volume import run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
PORT = 4848


def until(what, condition, seconds=60):
    """Waits for a condition with a bound; says what it waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return ""
        time.sleep(0.05)
    return f"not within {seconds} s: {what}"


class Network:
    """The namespaces of the hosts and the one between them, and their links, named after this process."""

    def __init__(self):
        self.names = {host: f"hf{os.getpid()}{host}" for host in ("alpha", "between", "beta", "gamma", "delta")}

    def __enter__(self):
        try:
            for name in self.names.values():
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            for number, host in ((1, "alpha"), (2, "beta"), (3, "gamma"), (4, "delta")):
                ours, theirs = self.names[host], self.names["between"]
                run("ip", "-n", theirs, "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", ours)
                for name, device, end in ((ours, "eth0", 1), (theirs, f"to{number}", 9)):
                    run("ip", "-n", name, "addr", "add", f"10.77.{number}.{end}/24", "dev", device)
                    run("ip", "-n", name, "link", "set", device, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def forward(self):
        """The forwarder's place is taken by the kernel: beta under the address that alpha knows."""
        run(*self.inside("alpha"), "ip", "route", "add", "10.77.2.0/24", "via", "10.77.1.9")
        run(*self.inside("beta"), "ip", "route", "add", "10.77.1.0/24", "via", "10.77.2.9")
        run(*self.inside("between"), "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def inside(self, host):
        return ["nsenter", f"--net=/run/netns/{self.names[host]}"]  # unlike `ip netns exec` without a mount namespace of its own

    def __exit__(self, *_):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def rights_of_the_service():
    """What the unit leaves an engine, and the stores that it starts: so the tests show that it is enough."""
    unit = (Path(__file__).resolve().parents[2] / "packaging/systemd/holdfastd.service.in").read_text()
    names = next(line for line in unit.splitlines() if line.startswith("CapabilityBoundingSet=")).split("=", 1)[1].split()
    return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all," + ",".join("+" + name.removeprefix("CAP_").lower() for name in names)]


class Host:
    """BUILD says whose programs it runs."""

    def __init__(self, network, name, work, config, build=BUILD):
        self.network, self.name, self.work = network, name, work / name
        self.work.mkdir()
        self.environment = dict(os.environ, HOLDFAST_STATE_DIR=str(self.work / "state"), HOLDFAST_RUN_DIR=str(self.work / "run"))
        self.install(build)
        self.config = self.work / "holdfastd.toml"
        self.config.write_text(config)
        self.log = open(self.work / "log", "ab")
        (self.work / "state").mkdir()
        self.engine = None

    def install(self, build):
        """These programs from now on; those that run go on until they are started anew."""
        self.build, self.program = build, build / "replicator/holdfastd"
        self.environment.update(HOLDFAST_STORE_BIN=str(build / "rewind/holdfast-store"), HOLDFAST_MOUNT_BIN=str(build / "fusefs/mount.fuse.holdfast"),
                                HOLDFAST_ENGINE_BIN=str(build / "replicator/holdfastd"))

    def start(self):
        self.engine = subprocess.Popen([*self.network.inside(self.name), *rights_of_the_service(), self.program, "--config", self.config],
                                       env=self.environment, stdout=self.log, stderr=self.log)
        bad = until("the engine answers", self.answers)
        if bad:
            raise RuntimeError(f"{self.name}: {bad}\n{self.tail()}")

    def children(self):
        """The processes of its launcher, by their names: the engine and the services of its stores."""
        pid = self.engine.pid
        return [(Path(f"/proc/{child}/comm").read_text().strip(), int(child)) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def engine_process(self):
        """Who speaks with peers. Versions before 0017 (docs/decisions) have one process."""
        return next((pid for name, pid in self.children() if name == "holdfast-engine"), self.engine.pid)

    def answers(self):
        return subprocess.run([self.build / "tools/holdfast", "engine", "status"], env=self.environment, capture_output=True).returncode == 0

    def kill(self):
        self.engine.kill()
        self.engine.wait()

    def stop(self):
        if self.engine and self.engine.poll() is None:
            self.engine.terminate()
            try:
                self.engine.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
                return "it had to be killed"
        return ""

    def holdfast(self, *words):
        return run(self.build / "tools/holdfast", *words, env=self.environment)

    def edge(self):
        return json.loads(self.holdfast("engine", "status", "--json"))["edges"][0]

    def events(self, after=0):
        return json.loads(self.holdfast("events", "--after", after, "--json"))["events"]

    def configure(self, text):
        """A replica whose rule changes is there again when the store that it had has applied what was left."""
        self.config.write_text(text)
        self.holdfast("config", "reload")
        edges = text.count("[[send]]") + text.count("[[keep]]")
        until("every edge is there", lambda: len(json.loads(self.holdfast("engine", "status", "--json"))["edges"]) == edges)

    def tail(self):
        return Path(self.log.name).read_text(errors="replace")[-3000:]


class Forwarder:
    def __init__(self, network, work, port=PORT, target="10.77.2.1", name="forwarder"):
        self.control = work / f"{name}.sock"
        self.process = subprocess.Popen([*network.inside("between"), sys.executable, Path(__file__).resolve().parent / "forwarder.py",
                                         str(port), f"{target}:{PORT}", self.control])
        until("the forwarder listens", self.control.exists)

    def do(self, command):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.control))
            connection.sendall(command.encode() + b"\n")
            return connection.makefile().readline().strip()

    def stop(self):
        self.process.kill()
        self.process.wait()


def fill(tree):
    """Something of every kind."""
    (tree / "d1").mkdir()
    (tree / "d1" / "large").write_bytes(os.urandom(3 << 20))
    os.link(tree / "d1" / "large", tree / "again")
    (tree / "link").symlink_to("d1/large")
    os.mkfifo(tree / "fifo")
    (tree / "odd \n name").write_text("x")
    with open(tree / "sparse", "wb") as stream:
        stream.truncate(20 << 20)
        stream.seek(9 << 20)
        stream.write(b"data")
    os.setxattr(tree / "d1", "user.note", b"kept")
    os.chmod(tree / "d1", 0o2751)
    # What only some capabilities make.
    os.mknod(tree / "device", stat.S_IFCHR | 0o640, os.makedev(1, 3))
    program = tree / "program"
    program.write_bytes(b"#!/bin/true\n")
    os.chown(program, 1234, 4321)
    os.chmod(program, 0o4755)
    os.setxattr(tree / "again", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))


class Pair:
    """Two hosts that know each other, a protected directory on the one and its replica on the other. Directory and store of the source
    lie in DISK, which may be a file system of its own; so may REPLICA. STANDBY is the replica's standby directory, if it is to have one. SEND is added to what the source's configuration says of its replica. BUILDS are those of source and
    replica."""

    def __init__(self, network, work, fill=True, target="10.77.1.9", listen="10.77.2.1", disk=None, replica=None, standby=None, protect=(), send="", builds=(BUILD, BUILD)):
        self.network, self.work, self.wants_fill, self.target, self.protect, self.send = network, work, fill, target, protect, send
        self.tree, self.store, self.replica = (disk or work) / "tree", (disk or work) / "store", replica or work / "replica"
        self.standby = standby
        self.tree.mkdir(exist_ok=True)
        self.alpha = Host(network, "alpha", work, 'name = "alpha"\n', builds[0])
        self.beta = Host(network, "beta", work, f'name = "beta"\nlisten = "{listen}:{PORT}"\naddress = "{target}:{PORT}"\n', builds[1])
        self.forwarder = None
        self.complaints = []  # of the end

    def __enter__(self):
        try:
            self.forwarder = Forwarder(self.network, self.work)
            if self.wants_fill:
                fill(self.tree)
            self.alpha.holdfast("protect", self.tree, "--store", self.store, *self.protect)
            self.id = json.loads(self.alpha.holdfast("status", self.tree, "--json"))["volumes"][0]["id"]
            self.protected()
            for host in (self.alpha, self.beta):
                host.start()
            code = json.loads(self.beta.holdfast("pair", "--json"))["code"]
            self.alpha.holdfast("pair", f"{self.target}:{PORT}", "--code", code)
            self.began = time.monotonic()
            self.beta.configure(self.beta.config.read_text() + f'[[keep]]\nvolume = "{self.id}"\nfrom = "alpha"\nstore = "{self.replica}"\n' + (f'directory = "{self.standby}"\n' if self.standby else ""))
            self.alpha.configure(self.alpha.config.read_text() + f'[[send]]\nvolume = "{self.tree}"\nto = "beta"\n' + self.send)
        except BaseException:
            self.__exit__()
            raise
        return self

    def protected(self):
        """For tests that do something before there are engines."""

    def arrived(self):
        edge = self.alpha.edge()
        return edge["state"] == "streaming" and edge.get("applied", -1) >= edge["published"]

    def differences(self, left, right):
        return run("rsync", "-naHAX", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", "--filter=-x trusted.holdfast.*", "--exclude=/.holdfast-standby-*", "--exclude=/lost+found", f"{left}/", f"{right}/").strip()

    def mount(self):
        """The protected directory again, as at the start of a host."""
        run(self.alpha.environment["HOLDFAST_MOUNT_BIN"], self.store, self.tree, env=self.alpha.environment)

    def __exit__(self, *_):
        for host in (self.alpha, self.beta):
            self.complaints += [f"{host.name}: {bad}" for bad in [host.stop()] if bad]
        if os.path.ismount(self.tree):
            self.alpha.holdfast("unprotect", self.tree)
        if self.forwarder:
            self.forwarder.stop()


def compare(pair, what, seconds=60):
    """Everything has arrived, and rsync finds no difference between the directory and the image."""
    bad = until("everything is applied", pair.arrived, seconds)
    if bad:
        bad += f"\nalpha {pair.alpha.edge()}\nbeta {pair.beta.edge()}\n{pair.alpha.tail()[-600:]}\n{pair.beta.tail()[-900:]}"
    check(f"{what}: everything arrived", bad)
    # Times of what was written last are recorded a moment later (docs/guarantees.md).
    bad = until("the image equals the directory", lambda: not pair.differences(pair.tree, pair.replica / "image"), 5)
    check(f"{what}: the image equals the directory", bad and pair.differences(pair.tree, pair.replica / "image"))
    if not pair.standby:
        return
    bad = until("the standby directory equals the directory", lambda: not pair.differences(pair.tree, pair.standby), 20)
    check(f"{what}: the standby directory equals the directory", bad and f"{pair.differences(pair.tree, pair.standby)}\n{pair.beta.tail()[-900:]}")


def compare_past(pair, name):
    past = {}
    for host, volume in ((pair.alpha, pair.tree), (pair.beta, pair.replica)):
        past[host.name] = pair.work / f"past-{host.name}"
        past[host.name].mkdir(exist_ok=True)
        host.holdfast("mount-past", volume, past[host.name])
    try:
        check(f"bookmark {name} is the same past on both hosts", pair.differences(past["alpha"] / f"@{name}", past["beta"] / f"@{name}"))
    finally:
        # By the command: a service that dies before it sees a mount taken away by hand brings it back.
        for host in (pair.alpha, pair.beta):
            if os.path.ismount(past.get(host.name, "/nowhere")):
                host.holdfast("umount-past", past[host.name])
