"""Clients that send one request after the other on one connection, and nothing else: what they
cost the proxy is the same each time."""

import socket
import struct

from .machine import Trouble
from .proxies import HOST

AGENT, ACCEPT = "wakedock-bench", "*/*"


class Http1:
    """Keep-alive."""

    head = "GET / HTTP/1.1"
    content = ""

    def __init__(self, port, body):
        self.body = body.encode()
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        length = f"Content-Length: {len(self.content)}\r\n" if self.content else ""
        fields = f"Host: {HOST}\r\nUser-Agent: {AGENT}\r\nAccept: {ACCEPT}\r\n{length}\r\n"
        self.request = f"{self.head}\r\n{fields}{self.content}".encode()

    def ask(self, times):
        for _ in range(times):
            self.stream.sendall(self.request)
            answer = self._answer()
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(self.body):
                raise Trouble(f"answers {answer[:200]!r}")

    def _answer(self):
        answer = b""
        while not answer.endswith(self.body) or b"\r\n\r\n" not in answer:
            answer += more(self.stream)
        return answer

    def close(self):
        self.stream.close()


class Post(Http1):
    head = "POST /post HTTP/1.1"
    content = "name=value&other=1234567890"


def more(stream):
    piece = stream.recv(65536)
    if not piece:
        raise Trouble("the connection was closed")
    return piece


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(index, text):
    """A field that goes into the table of both sides (RFC 7541, 6.2.1)."""
    return bytes([0x40 | index, len(text)]) + text.encode()


class Http2:
    """By prior knowledge, with the few frames it takes."""

    HEADERS, SETTINGS, PING, DATA, WINDOW = 1, 4, 6, 0, 8
    END_STREAM, ACK, END_HEADERS = 1, 1, 4

    def __init__(self, port, body):
        self.body, self.seen, self.stream_id = body.encode(), b"", 1
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        window = frame(self.WINDOW, 0, 0, struct.pack(">I", 2**30))
        self.stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(self.SETTINGS, 0, 0) + window)
        # GET, http and / are in the static table; so are the names of the others.
        self.fields = b"\x82\x86\x84" + literal(1, HOST) + literal(58, AGENT) + literal(19, ACCEPT)

    def ask(self, times):
        for _ in range(times):
            flags = self.END_STREAM | self.END_HEADERS
            self.stream.sendall(frame(self.HEADERS, flags, self.stream_id, self.fields))
            # From the second request on everything is an index.
            self.fields = b"\x82\x86\x84\xc0\xbf\xbe"
            if (body := self._answer()) != self.body:
                raise Trouble(f"answers {body[:200]!r}")
            self.stream_id += 2

    def _answer(self):
        body = b""
        while True:
            kind, flags, stream, payload = self._frame()
            if kind == self.SETTINGS and not flags & self.ACK:
                self.stream.sendall(frame(self.SETTINGS, self.ACK, 0))
            elif kind == self.PING and not flags & self.ACK:
                self.stream.sendall(frame(self.PING, self.ACK, 0, payload))
            elif stream == self.stream_id:
                body += payload if kind == self.DATA else b""
                if kind not in (self.HEADERS, self.DATA, self.WINDOW):
                    raise Trouble(f"answers with a frame of type {kind}")
                if kind != self.WINDOW and flags & self.END_STREAM:
                    return body

    def _frame(self):
        while len(self.seen) < 9 or len(self.seen) < 9 + int.from_bytes(self.seen[:3], "big"):
            self.seen += more(self.stream)
        end = 9 + int.from_bytes(self.seen[:3], "big")
        whole, self.seen = self.seen[:end], self.seen[end:]
        return whole[3], whole[4], struct.unpack(">I", whole[5:9])[0], whole[9:]

    def close(self):
        self.stream.close()


def get(port, body):
    return Http1(port, body)


def post(port, _body):
    return Post(port, "posted\n")


def http2(port, body):
    return Http2(port, body)


KINDS = {"GET": get, "POST": post, "HTTP/2": http2}


def serves(port, body):
    try:
        client = Http1(port, body)
        client.ask(1)
        client.close()
        return True
    except Trouble:
        return False
