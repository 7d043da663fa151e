"""Load, and what is read off while it runs."""

import http.client
import json
import os
from pathlib import Path

from .machine import Trouble, run
from .proxies import HOST, LONG

SCRIPT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"micros":%d,"p50":%.0f,"p99":%.0f,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""


def fetch(port, times=1):
    """The answers to the same request, sent several times over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        for _ in range(times):
            connection.request("GET", "/", headers={"Host": HOST})
            response = connection.getresponse()
            yield response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def serves(port, body):
    return all(status == 200 and text == body for status, _, text in fetch(port))


def check(proxy, body):
    """The upstream's own answer, each time, over a connection that stays open."""
    for status, headers, text in fetch(proxy.port, 3):
        if status != 200 or text != body or "X-WakeDock" in headers:
            raise Trouble(f"{proxy.name} answers {status} with {text[:200]!r}, not what the upstream says")


class Load:
    """One kind of load. `once` runs it against a proxy and gives its figures."""

    def __init__(self, rounds, only=None):
        self.rounds, self.only = rounds, only

    def concerns(self, proxy):
        return self.only is None or proxy.kind in self.only


class Wrk(Load):
    """As many requests as can be, on kept-alive connections."""

    def __init__(self, folder, connections, seconds, rounds, only=None):
        super().__init__(rounds, only)
        self.script = Path(folder, "wrk.lua")
        self.script.write_text(SCRIPT)
        self.connections, self.seconds = connections, seconds
        self.threads = min(2, os.cpu_count() or 1)

    def once(self, proxy, seconds=None):
        """Requests a second, CPU time of the proxy a request, latencies."""
        before = proxy.process.cpu()
        url = f"http://127.0.0.1:{proxy.port}/"
        command = (
            *("wrk", f"-t{self.threads}", f"-c{self.connections}", f"-d{seconds or self.seconds}s"),
            *("--header", f"Host: {HOST}", "--script", str(self.script), url),
        )
        figures = json.loads(run("sh", "-c", 'exec "$@" 2>&1 >/dev/null', "sh", *command))
        cpu = proxy.process.cpu() - before
        errors = {kind: figures[kind] for kind in ("connect", "read", "write", "status", "timeout") if figures[kind]}
        if errors or not figures["requests"]:
            raise Trouble(f"{proxy.name}: {figures['requests']} requests, errors: {errors}")
        return {
            "requests": figures["requests"],
            "requests_per_second": figures["requests"] / figures["micros"] * 1e6,
            "cpu_micros_per_request": cpu * 1e6 / figures["requests"],
            "p50_micros": figures["p50"],
            "p99_micros": figures["p99"],
        }


class Tool(Load):
    """What our own load generator does."""

    def __init__(self, tool, rounds, only, *arguments, host=LONG):
        super().__init__(rounds, only)
        self.tool, self.host, (self.verb, *self.arguments) = tool, host, arguments

    def once(self, proxy):
        cpu, resident = proxy.process.cpu(), proxy.process.resident()[0]
        said = run(self.tool, self.verb, str(proxy.port), self.host, *map(str, self.arguments))
        figures = json.loads(said)
        cpu, seconds = proxy.process.cpu() - cpu, figures["micros"] / 1e6
        found = {f"{name}_micros": figures[name] for name in ("p50", "p99", "p999") if name in figures}
        if "requests" in figures:
            found["requests_per_second"] = figures["requests"] / seconds
            found["cpu_micros_per_request"] = cpu * 1e6 / figures["requests"]
        if "messages" in figures:
            found["messages_per_second"] = figures["messages"] / seconds
            found["cpu_micros_per_message"] = cpu * 1e6 / figures["messages"]
        if "bytes" in figures:
            found["bytes_per_second"] = figures["bytes"] / seconds
            found["bytes_per_cpu_second"] = figures["bytes"] / max(cpu, 0.01)
            found["growth"] = proxy.process.resident()[0] - resident
        return found
