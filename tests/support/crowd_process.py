"""The program behind `Crowd`: many subscribers on one gevent hub, told what to do on stdin.

One JSON object a line in both directions. It parses the wire by itself, on purpose: it proves the
server without the SDK's help.
"""

import json
import random
import re
import struct
import sys
import time
import zlib
from collections import Counter
from typing import Any

import gevent
from gevent import socket, ssl
from gevent.event import Event
from gevent.fileobject import FileObject

SENT_AT = re.compile(rb"sent_at=(\d+)")
RST = struct.pack("ii", 1, 0)
MAX_PAUSE_S = 0.05


class Subscriber:
    """Stays connected, whatever happens, and keeps what it received.

    received: [position, checksum of the data] in the order of arrival.
    """

    def __init__(self, crowd: "Crowd", request: dict[str, Any]) -> None:
        self.crowd = crowd
        self.target = request["target"]
        self.project = request["project"]
        self.cursor: str | None = request["cursor"]
        self.start = self.cursor
        self.received: list[tuple[int, int]] = []
        self.resets = 0
        self.ended = False
        self.asked_pause_s = 0.0
        self.sock: socket.socket | None = None
        self.greeted = False

    def run(self) -> None:
        while not self.crowd.stopping:
            try:
                self._follow()
            except OSError as error:
                self.crowd.losses[type(error).__name__] += 1
            finally:
                self.hang_up()
            self.crowd.waiting.wait()  # set unless the crowd is told to stay away
            gevent.sleep(self.asked_pause_s or random.random() * MAX_PAUSE_S)
            self.asked_pause_s = 0.0

    def _follow(self) -> None:
        self.sock = sock = self.crowd.connect()
        resumed = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
        sock.sendall(
            f"GET {self.target} {self.crowd.http}\r\nHost: {self.crowd.host}:{self.crowd.port}\r\n"
            f"Authorization: Bearer {self.crowd.token}\r\n{resumed}\r\n".encode()
        )
        self.crowd.connects += 1
        buffer = b""
        while b"\r\n\r\n" not in buffer:
            buffer += self._read(sock)
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        self.crowd.statuses[head.split(b" ")[1].decode()] += 1
        if b" 200 " not in head[:15]:
            return
        while True:
            *frames, buffer = buffer.split(b"\n\n")
            for frame in frames:
                self._take(frame)
            buffer += self._read(sock)

    def _read(self, sock: socket.socket) -> bytes:
        chunk: bytes = sock.recv(65_536)
        if not chunk:
            raise ServerClosed("closed")
        return chunk

    def _take(self, frame: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\n"))
        event = fields.get(b"event", b"").decode()
        if event == "hello":
            self.greeted = True
        elif event == "end":
            end = json.loads(fields[b"data"])
            self.ended = True
            self.asked_pause_s = end["reconnect_in_ms"] / 1000
            self.crowd.ends[f"{end['reason']} {str(end['reconnect']).lower()}"] += 1
        elif event == "reset":
            self.resets += 1
        elif event == "state" and self.start is None:
            self.start = fields[b"id"].decode()
        if b"id" in fields:
            self.cursor = fields[b"id"].decode()
            if "." in event:
                position = int(self.cursor.rpartition(".")[2])
                self.received.append((position, zlib.crc32(fields[b"data"])))
                if sent := SENT_AT.search(frame):
                    self.crowd.delays_s.append(time.monotonic() - int(sent[1]) / 1e9)

    def cut(self) -> bool:
        """Break the connection now, somehow; whatever was on its way is lost."""
        if self.sock is None or not self.greeted:
            return False
        how = random.randrange(3)
        try:
            if how == 0:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            elif how == 1:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self.greeted = False
        self.sock.close()
        self.crowd.cuts += 1
        return True

    def hang_up(self) -> None:
        self.greeted = False
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class ServerClosed(OSError):
    """The server closed the connection."""


class Crowd:
    def __init__(self, config: dict[str, Any]) -> None:
        self.host, self.port, self.token = config["host"], config["port"], config["token"]
        self.http = config["http"]
        self.tls: ssl.SSLContext | None = None
        if ca_file := config["ca_file"]:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # gevent's own: it does not block
            self.tls.load_verify_locations(ca_file)
        self.stopping = False
        self.connects = self.cuts = 0
        self.delays_s: list[float] = []
        self.ends: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.waiting = Event()
        self.waiting.set()
        self.members = [Subscriber(self, request) for request in config["subscribers"]]
        for member in self.members:
            gevent.spawn(member.run)

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.tls.wrap_socket(sock, server_hostname=self.host) if self.tls else sock

    def status(self) -> dict[str, Any]:
        return {
            "live": sum(member.greeted for member in self.members),
            "connects": self.connects,
            "cuts": self.cuts,
            "ends": self.ends,
            "told": sum(member.ended for member in self.members),
            "losses": self.losses,
            "statuses": self.statuses,
            "resets": sum(member.resets for member in self.members),
            "position": min(self._position(member) for member in self.members),
            "received": sum(len(member.received) for member in self.members),
        }

    @staticmethod
    def _position(member: Subscriber) -> int:
        return int((member.cursor or ".0").rpartition(".")[2])

    def cut(self, times: int, over_s: float) -> dict[str, Any]:
        """Begin to cut random members, `times` in all, spread over about so many seconds."""
        gevent.spawn(self._cut, times, over_s / times)
        return {}

    def _cut(self, times: int, pause_s: float) -> None:
        goal = self.cuts + times
        while self.cuts < goal:
            random.choice(self.members).cut()
            gevent.sleep(random.random() * 2 * pause_s)

    def delays(self) -> dict[str, Any]:
        """The delays since the last call, in seconds, sorted."""
        found, self.delays_s = sorted(self.delays_s), []
        return {"delays": found}

    def report(self, path: str) -> dict[str, Any]:
        members = [
            {"project": m.project, "start": m.start, "received": m.received} for m in self.members
        ]
        with open(path, "w") as file:
            json.dump(members, file)
        return {}

    def hold(self) -> dict[str, Any]:
        """Do not come back after the next loss."""
        self.waiting.clear()
        return {}

    def leave(self) -> dict[str, Any]:
        """Close every connection and stay away."""
        self.hold()
        for member in self.members:
            member.hang_up()
        return {}


def main() -> None:
    stdin = FileObject(sys.stdin.buffer, "rb")
    crowd = Crowd(json.loads(stdin.readline()))
    for line in iter(stdin.readline, b""):
        command = json.loads(line)
        answer = getattr(crowd, command.pop("do"))(**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
