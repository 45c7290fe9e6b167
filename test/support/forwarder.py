#!/usr/bin/env python3
"""A bad network between two hosts: forwards TCP connections, and does to them what it is told.

    forwarder.py LISTEN_PORT TARGET_HOST:PORT CONTROL_SOCKET

Commands on the control socket, one line each, answered with a line:

    open              forward (the beginning)
    cut               break every connection and take no new one
    hang              keep every connection and forward nothing, as a link that lost its cable does
    delay MS          every byte arrives so much later, in each direction
    rate BYTES        so many bytes a second in each direction, 0: as many as come
    flip              one bit of the next bytes towards the target is wrong
    truncate          the next bytes towards the target end in the middle, and then the connection
    replay            the next bytes towards the target come twice
    bytes             how many bytes went towards the target so far
"""
import asyncio
import os
import random
import sys


class Link:
    def __init__(self):
        self.mode, self.delay, self.rate, self.fault, self.sent = "open", 0.0, 0, None, 0
        self.writers, self.dice = set(), random.Random(7)

    def break_all(self):
        for writer in list(self.writers):
            writer.transport.abort()

    def spoil(self, data):
        """The bytes to send, and whether the connection ends after them."""
        fault, self.fault = self.fault, None
        if fault == "flip":
            place = self.dice.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 1 << self.dice.randrange(8)]) + data[place + 1:], False
        if fault == "truncate":
            return data[:len(data) // 2], True
        return (data + data if fault == "replay" else data), False

    async def carry(self, reader, writer, is_forward):
        queue = asyncio.Queue(maxsize=256)

        async def read():
            try:
                while data := await reader.read(65536):
                    await queue.put((asyncio.get_running_loop().time() + self.delay, data))
            except ConnectionError:
                pass
            await queue.put((0, b""))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await queue.get()
                if not data:
                    break
                await asyncio.sleep(max(0, due - asyncio.get_running_loop().time()))
                while self.mode == "hang":
                    await asyncio.sleep(0.02)
                ends = False
                if is_forward:
                    data, ends = self.spoil(data)
                    self.sent += len(data)
                if self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                writer.write(data)
                await writer.drain()
                if ends:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            reading.cancel()
            writer.transport.abort()

    async def connect(self, reader, writer, target):
        self.writers.add(writer)
        other = None
        try:
            while self.mode == "hang":
                await asyncio.sleep(0.02)
            if self.mode != "cut":
                back, other = await asyncio.open_connection(*target)
                self.writers.add(other)
                await asyncio.gather(self.carry(reader, other, True), self.carry(back, writer, False), return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, other):
                if end:
                    self.writers.discard(end)
                    end.transport.abort()

    async def control(self, reader, writer):
        while line := (await reader.readline()).decode().split():
            answer = "ok"
            if line[0] in ("open", "cut", "hang"):
                self.mode = line[0]
                if line[0] == "cut":
                    self.break_all()
            elif line[0] == "delay":
                self.delay = float(line[1]) / 1000
            elif line[0] == "rate":
                self.rate = int(line[1])
            elif line[0] == "bytes":
                answer = str(self.sent)
            else:
                self.fault = line[0]
            writer.write(f"{answer}\n".encode())
            await writer.drain()
        writer.close()


async def main():
    port, target, control = int(sys.argv[1]), sys.argv[2].rsplit(":", 1), sys.argv[3]
    link = Link()
    if os.path.exists(control):
        os.unlink(control)
    servers = [await asyncio.start_server(lambda r, w: link.connect(r, w, target), "0.0.0.0", port),
               await asyncio.start_unix_server(link.control, control)]
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
