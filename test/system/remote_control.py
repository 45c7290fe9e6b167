#!/usr/bin/env python3
"""The API of one host's engine asked from another one: what a peer may, what it may not, and who gets nothing at all.

    alpha 10.77.1.1 ── forwarder 10.77.1.9 ── beta 10.77.2.1
    asks               cuts, hangs            is asked

Through the command, as people do it, and by hand over TLS with alpha's key, as somebody does who has taken over alpha.
"""
import json
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from control import engine
from replicated import BUILD, PORT, Network, Pair, run, until
from verdict import check, ended

CONTROL, LINK = "holdfast-control/1", "holdfast/1"


def command(host, *words):
    """Exit code, and the sentence."""
    done = subprocess.run([BUILD / "tools/holdfast", *map(str, words)], env=host.environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expect(what, found, code, *texts):
    wrong = found[0] != code or any(text not in found[1] for text in texts)
    check(what, wrong and found)


def api(host, method, target, body=None):
    return engine(host.work / "run/engine.sock", method, target, body)


def identity(host):
    return host.work / "state/engine/identity.pem"


class Raw:
    """A TLS connection to beta by hand. Runs in alpha's network."""

    def __init__(self, pair, key, protocol=CONTROL):
        self.process = subprocess.Popen([*pair.network.inside("alpha"), sys.executable, __file__, "--raw", pair.target, key, protocol], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def connected(self):
        """Waits until its handshake is over, as far as it knows, or came to nothing."""
        self.process.stderr.readline()
        return self

    def say(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the other side has ended it, which hear() tells

    def hear(self):
        """All that comes until the other side ends it, and after how many seconds that was."""
        begin = time.monotonic()
        data = self.process.stdout.read()
        self.process.kill()
        self.process.wait()
        return data, time.monotonic() - begin

    def ask(self, method, target, body=b"", length=None):
        self.say(f"{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body)
        return self.hear()[0]


def raw(target, key, protocol):
    """The other process of Raw: standard input to the peer, what the peer says to standard output."""
    import threading
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(key)
    context.set_alpn_protocols([protocol])
    with context.wrap_socket(socket.create_connection((target, PORT), 10)) as channel:
        channel.settimeout(None)
        print("connected", file=sys.stderr, flush=True)

        def pass_on():
            while data := sys.stdin.buffer.raw.read(65536):
                channel.sendall(data)

        threading.Thread(target=pass_on, daemon=True).start()
        try:
            while data := channel.recv(65536):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        except OSError:
            pass


def allow(pair, right):
    pair.beta.configure(pair.head + (f'[[peer]]\nname = "alpha"\ncontrol = "{right}"\n' if right else ""))


def told(host, code):
    return [event["sentence"] for event in host.events() if event["code"] == code]


def rights(pair):
    alpha, beta = pair.alpha, pair.beta
    expect("by default a peer may not even look", command(alpha, "engine", "status", "--on", "beta"), 4, 'lets "alpha" neither look', 'control = "view"')
    check("  which is told", "" if told(beta, "HF-E-312") else beta.events())

    allow(pair, "view")
    expect("who may look sees the status", command(alpha, "engine", "status", "--on", "beta"), 0, "engine of beta", "replica")
    expect("  the events", command(alpha, "events", "--on", "beta"), 0, "HF-E-312")
    expect("  the peers", command(alpha, "peer", "list", "--on", "beta"), 0, "alpha")
    status, metrics = api(alpha, "GET", "/on/beta/metrics")
    check("  the metrics", "" if status == 200 and metrics.endswith("# EOF\n") else (status, metrics))
    status, answer = api(alpha, "GET", "/on/beta/v1/events?after=1")
    check("  with what is asked behind a question mark", "" if status == 200 and answer["events"][0]["number"] == 2 else (status, answer))
    expect("and may do nothing", command(alpha, "config", "reload", "--on", "beta"), 4, "look, and do nothing", 'control = "operate"')
    for method, target, wanted in (("POST", "/on/beta/v1/maintenance-prepare", 403), ("DELETE", "/on/beta/v1/status", 403), ("GET", "/on/beta/v1/nothing", 404),
                                   ("GET", "/on/beta/", 404), ("GET", "/on/beta", 404), ("GET", "/on/", 404), ("GET", "/on/beta/v1/%0d%0aX", 404)):
        status, answer = api(alpha, method, target)
        check(f"  {method} {target} is answered {wanted}", "" if status == wanted and answer["error"]["message"] else (status, answer))
    check("  and is not in maintenance", api(beta, "GET", "/v1/status")[1]["maintenance"]["state"] != "none")

    allow(pair, "operate")
    expect("who may operate does", command(alpha, "config", "reload", "--on", "beta"), 0)
    check("  which is told", "" if any("/v1/reload" in sentence for sentence in told(beta, "HF-E-313")) else beta.events())
    expect("  has it prepare for maintenance", command(alpha, "maintenance", "prepare", "--timeout", "30s", "--on", "beta"), 0, "Host beta is in maintenance")
    expect("  and end that", command(alpha, "maintenance", "done", "--on", "beta"), 0)
    expect("  hears what is wrong there", command(alpha, "replica", "suspend", "/srv", "gamma", "--on", "beta"), 3, 'sends no "/srv"')
    for target, body in (("pair-offer", None), ("pair", {"address": "10.77.1.1:1", "code": "x"}), ("revoke", {"peer": "alpha"}), ("key-rotate", None)):
        status, answer = api(alpha, "POST", "/on/beta/v1/" + target, body)
        check(f"  and may not {target}", "" if status == 403 and "on that host itself" in answer["error"]["message"] else (status, answer))
    allow(pair, "none")
    expect("a right that is taken away is gone", command(alpha, "engine", "status", "--on", "beta"), 4)
    allow(pair, "view")


def nobody(pair):
    expect("a peer that is not known", command(pair.alpha, "engine", "status", "--on", "gamma"), 3, 'does not know a peer "gamma"', "peer list")
    expect("a name that cannot be one", command(pair.alpha, "engine", "status", "--on", "../v1 x"), 3, 'it is /on/PEER')
    expect("a peer that is not called", command(pair.beta, "engine", "status", "--on", "alpha"), 2, "no address is known")


def by_hand(pair, work):
    mine = identity(pair.alpha)
    check("by hand it is the same API", "" if Raw(pair, mine).ask("GET", "/v1/status").startswith(b"HTTP/1.1 200") else "it is not")
    answer = Raw(pair, mine).ask("GET", "/on/alpha/v1/status")
    check("a peer cannot have anything passed on", "" if answer.startswith(b"HTTP/1.1 404") else answer)
    answer = Raw(pair, mine).ask("POST", "/v1/reload", b"x" * (65 << 10))
    check("a request that is too large is refused", "" if answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 403")) else answer[:300])
    allow(pair, "operate")
    answer = Raw(pair, mine).ask("POST", "/v1/reload", b"x" * (65 << 10))
    check("  also of one who may operate", "" if answer.startswith(b"HTTP/1.1 413") else answer[:300])
    allow(pair, "view")
    answer = Raw(pair, mine).ask("GET", "/" + "a" * (20 << 10))
    check("a head that is too large is refused", "" if answer[:12] in (b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 413", b"") else answer[:300])

    slow = Raw(pair, mine)
    slow.say(b"GET /v1/status HTT")
    _, seconds = slow.hear()
    check("who says nothing more is not waited for", "" if seconds < 20 else f"{seconds} s")

    crowd = [Raw(pair, mine) for _ in range(6)]
    for connection in crowd:
        connection.connected()
    time.sleep(1)  # the server's side of the handshakes
    for connection in crowd:
        connection.say(b"GET /v1/status HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
    answers = sorted(connection.hear()[0][:12] for connection in crowd)
    check("a peer has four connections at once", "" if answers == [b"HTTP/1.1 200"] * 4 + [b"HTTP/1.1 503"] * 2 else answers)

    run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", work / "stranger.key", "-out", work / "stranger.crt", "-subj", "/CN=holdfast", "-days", "2")
    stranger = work / "stranger.pem"
    stranger.write_text((work / "stranger.key").read_text() + (work / "stranger.crt").read_text())
    answer, _ = Raw(pair, stranger).hear()
    check("a stranger hears nothing", answer)
    for protocol in (LINK, "http/1.1"):
        connection = Raw(pair, mine if protocol != LINK else stranger, protocol)
        connection.say(b"GET /v1/status HTTP/1.1\r\nHost: engine\r\n\r\n")
        check(f"  nor does anybody as {protocol}", connection.hear()[0])


def bad_link(pair):
    pair.forwarder.do("hang")
    begin = time.monotonic()
    expect("a peer that does not answer", command(pair.alpha, "engine", "status", "--on", "beta"), 7, 'the engine of "beta" cannot be asked')
    check("  is waited for with a bound", "" if time.monotonic() - begin < 30 else time.monotonic() - begin)
    pair.forwarder.do("open")
    check("  and asked again when it is back", until("it answers", lambda: command(pair.alpha, "engine", "status", "--on", "beta")[0] == 0, 30))
    pair.beta.stop()
    expect("a peer that is away", command(pair.alpha, "engine", "status", "--on", "beta"), 7, 'the engine of "beta" cannot be asked')
    expect("  does not keep this engine from answering", command(pair.alpha, "engine", "status"), 0)
    pair.beta.start()


def rotation(pair):
    for host in (pair.alpha, pair.beta):
        check(f"alpha has a connection before {host.name} changes its key", until("it streams", lambda: pair.alpha.edge()["state"] == "streaming", 30))
        host.holdfast("key", "rotate")
        expect("  a peer is asked while a key changes", command(pair.alpha, "engine", "status", "--on", "beta"), 0)
        check("  the key is changed", until("it is", lambda: "next_key" not in json.loads(host.holdfast("peer", "list", "--json")), 20))
        expect("  and afterwards", command(pair.alpha, "engine", "status", "--on", "beta"), 0)


def revoked(pair):
    open_one = Raw(pair, identity(pair.alpha)).connected()
    open_one.say(b"GET /v1/status HTTP/1.1\r\nHost: engine\r\n\r\n")
    time.sleep(1)
    pair.beta.holdfast("peer", "revoke", "alpha")
    answer, seconds = open_one.hear()
    check("a connection was there", "" if answer.startswith(b"HTTP/1.1 200") else answer[:100])
    check("  and ends with the trust", "" if seconds < 5 else f"after {seconds} s")
    answer = Raw(pair, identity(pair.alpha)).ask("GET", "/v1/status")
    check("a key that was revoked is a stranger's", answer)
    expect("  which the command says", command(pair.alpha, "engine", "status", "--on", "beta"), 4, 'the engine of "beta" cannot be asked')


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-remote-control-"))
    pair = None
    try:
        with Network() as network, Pair(network, work, fill=False) as pair:
            # By the way that alpha itself takes, so through the forwarder.
            check("the hosts are connected", until("it streams", pair.arrived, 60))
            pair.head = pair.beta.config.read_text()
            rights(pair)
            nobody(pair)
            by_hand(pair, work)
            bad_link(pair)
            rotation(pair)
            revoked(pair)
            check("the engines go on", "" if all(host.answers() for host in (pair.alpha, pair.beta)) else "one does not")
        check("everything ends in order", pair.complaints)
    finally:
        tails = f"{pair.alpha.tail()}\n---\n{pair.beta.tail()}" if pair else ""
        shutil.rmtree(work, ignore_errors=True)
    ended(lambda: tails)


if sys.argv[1:2] == ["--raw"]:
    try:
        raw(*sys.argv[2:])
    except (ssl.SSLError, ConnectionError):
        pass  # refused: nothing was heard
else:
    main()
