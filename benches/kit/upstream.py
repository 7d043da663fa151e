"""What all proxies have behind them: nginx with a static body, and `load serve` for long bodies and
WebSockets, in containers on the host's network, so that no bridge stands between any proxy and
them, and WakeDock can have them as services."""

import io
import os
import re
import shutil
import tarfile

from .machine import Process, Trouble, run, say

LABEL = "wakedock.bench"

CONFIG = """
worker_processes auto;
daemon off;
user root;
pid /tmp/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    sendfile on;
    open_file_cache max=16;
    # Plenty: no proxy should meet a connection that is being closed.
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port};
        root /www;
        location = /post {{ return 200 "posted\n"; }}
    }}
}}
"""


def engine(folder):
    """Makes sure that Docker answers. Returns the daemon where it had to be started."""

    def answers():
        try:
            return run("docker", "version", "--format", "{{.Server.Version}}")
        except Trouble:
            return None

    if answers():
        return None
    say("no Docker engine answers: starting dockerd for this run")
    daemon = Process("dockerd", ["dockerd"], folder / "dockerd.log")
    daemon.wait_until(answers, 60)
    return daemon


def image(port, body, tool):
    """nginx, the tool, and the libraries they are linked with, as a tar: nothing has to be fetched."""
    programs = {"nginx": os.path.realpath(shutil.which("nginx"))} | ({"load": str(tool)} if tool else {})
    libraries = {library for file in programs.values() for library in re.findall(r"(/\S+) \(0x", run("ldd", file))}
    text = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/false\n",
        "etc/group": "root:x:0:\n",
        "nginx.conf": CONFIG.format(port=port),
        "www/index.html": body,
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(tmp)
        for library in libraries:
            tar.add(os.path.realpath(library), library.lstrip("/"))
        for name, file in programs.items():
            tar.add(file, name)
        for name, content in text.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


class Upstream:
    def __init__(self, port, body, sleepers, tool=None, long_port=None):
        self.port, self.body, self.tool, self.long_port = port, body, tool, long_port
        self.name = f"wakedock-bench-{os.getpid()}"
        self.sleepers = [f"{self.name}-{number}" for number in range(sleepers)]
        self.long_name = f"{self.name}-long"
        self.made = []

    def start(self):
        entrypoint = 'ENTRYPOINT ["/nginx", "-e", "stderr", "-c", "/nginx.conf"]'
        run(
            *("docker", "import", "--change", entrypoint, "--change", f"LABEL {LABEL}=1", "-", self.name),
            input=image(self.port, self.body, self.tool),
        )
        options = ("--network", "host", "--label", f"{LABEL}=1", "--name")
        self.made.append(self.name)
        run("docker", "run", "--detach", *options, self.name, self.name)
        if self.tool:
            self.made.append(self.long_name)
            serve = ("--entrypoint", "/load", self.name, "serve", str(self.long_port))
            run("docker", "run", "--detach", *options, self.long_name, *serve)
        if self.sleepers:
            say(f"creating {len(self.sleepers)} containers that never run, for the memory of as many services")
        for sleeper in self.sleepers:
            self.made.append(sleeper)
            run("docker", "create", *options, sleeper, self.name)

    def end(self):
        if self.made:
            run("docker", "rm", "--force", "--volumes", *self.made)
        run("docker", "rmi", "--force", self.name)
