#!/usr/bin/env python3
"""A long link that loses packets, between two network namespaces: a point-to-point device in each, and this process between them.

    lossy_link.py NAMESPACE_A ADDRESS_A NAMESPACE_B ADDRESS_B DELAY_MS LOSS_PERCENT

Every packet arrives DELAY_MS later, in each direction, or not at all. Prints `ready` when the devices are there; they go with the process.
"""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES_MAX = 65536
WAITING_MAX = 20000  # packets; more are lost, as on a real link whose queue is full


def device(namespace, address, other):
    """A tun device that belongs to a namespace, as a descriptor here."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"enter the namespace {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"far", IFF_TUN | IFF_NO_PI))
    for words in (("addr", "add", address, "peer", other, "dev", "far"), ("link", "set", "far", "mtu", "1400", "up")):
        subprocess.run(["ip", *words], check=True)
    return tun


def main():
    (a, address_a, b, address_b), (delay_ms, loss_percent) = sys.argv[1:5], map(float, sys.argv[5:7])
    ends = (device(a, address_a, address_b), device(b, address_b, address_a))
    print("ready", flush=True)
    dice, waiting, number = random.Random(11), [], 0
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(ends, [], [], patience)
        now = time.monotonic()
        for end in readable:
            try:
                packet = os.read(end, PACKET_BYTES_MAX)
            except BlockingIOError:
                continue
            if dice.random() * 100 >= loss_percent and len(waiting) < WAITING_MAX:
                number += 1
                heapq.heappush(waiting, (now + delay_ms / 1000, number, ends[end == ends[0]], packet))
        while waiting and waiting[0][0] <= now:
            _, _, end, packet = heapq.heappop(waiting)
            try:
                os.write(end, packet)
            except OSError:
                pass  # the device's queue is full


main()
