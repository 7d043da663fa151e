"""The proxies, each plain: keep-alive on both sides, a worker per core, no access log, the same
three X-Forwarded fields to the upstream."""

import re
from pathlib import Path

from .machine import Process, run

HOST = "bench.localhost"
# Long bodies and WebSockets have an upstream of their own.
LONG = "long.localhost"


class Proxy:
    """A name, a port on loopback, a folder of its own, and how it is started there."""

    environment = {}
    # What it runs under.
    prefix = ()

    def __init__(self, name, port, folder):
        self.name, self.port, self.folder = name, port, Path(folder, name)
        self.process = None

    def start(self, upstream):
        self.folder.mkdir()
        command = [*self.prefix, *self.command(upstream)]
        self.process = Process(self.name, command, self.folder / "log", self.environment)

    def end(self):
        if self.process:
            self.process.end()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)


class Nginx(Proxy):
    kind = "nginx"

    @staticmethod
    def version():
        # nginx says it on the other channel.
        return re.search(r"nginx/(\S+)", run("sh", "-c", "nginx -v 2>&1"))[1]

    def command(self, upstream):
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        fields = """
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;"""
        config = f"""
worker_processes auto;
daemon off;
user root;
pid {self.folder}/pid;
error_log {self.folder}/log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    {temporary}
    upstream app {{
        server 127.0.0.1:{upstream.port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    map $http_upgrade $connection_field {{ default upgrade; "" ""; }}
    proxy_http_version 1.1;
    # Bodies pass through as they do with the others, not by way of the disk.
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    server {{
        listen 127.0.0.1:{self.port} default_server;
        location / {{
            proxy_pass http://app;
            proxy_set_header Connection "";
            {fields}
        }}
    }}
    upstream long {{
        server 127.0.0.1:{upstream.long_port};
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{self.port};
        server_name {LONG};
        location / {{
            proxy_pass http://long;
            proxy_set_header Connection $connection_field;
            proxy_set_header Upgrade $http_upgrade;
            {fields}
        }}
    }}
}}
"""
        return ["nginx", "-e", f"{self.folder}/log", "-c", self.write("nginx.conf", config)]


class Haproxy(Proxy):
    kind = "haproxy"

    @staticmethod
    def version():
        return re.search(r"version ([\d.]+)", run("haproxy", "-v"))[1]

    def command(self, upstream):
        config = f"""
global
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout tunnel 1h
frontend bench
    bind 127.0.0.1:{self.port}
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    use_backend long if {{ req.hdr(Host) {LONG} }}
    default_backend app
backend app
    server app 127.0.0.1:{upstream.port}
backend long
    server long 127.0.0.1:{upstream.long_port}
"""
        return ["haproxy", "-db", "-f", self.write("haproxy.cfg", config)]


class Caddy(Proxy):
    kind = "caddy"

    def target(self, upstream):
        return f"127.0.0.1:{upstream.port}"

    @staticmethod
    def version():
        return run("caddy", "version").split()[0].lstrip("v")

    def command(self, upstream):
        self.environment = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        # By default it keeps 32 idle connections to an upstream, fewer than there are clients here.
        config = f"""{{
    admin off
    auto_https off
}}
http://{HOST}:{self.port} {{
    bind 127.0.0.1
    reverse_proxy {self.target(upstream)} {{
        transport http {{
            keepalive_idle_conns_per_host 512
        }}
    }}
}}
"""
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.write("Caddyfile", config)]


class CaddyInFront(Caddy):
    """Of WakeDock, over its unix socket, as the appliance has it."""

    kind = "front"
    behind = None

    def target(self, upstream):
        return f"unix/{self.behind.socket}"


class Wakedock(Proxy):
    kind = "wakedock"
    program = None
    admin_port = None

    @property
    def socket(self):
        return self.folder / "proxy.sock"

    def version(self):
        return run(self.program, "--version").split()[-1]

    def command(self, upstream):
        names = [upstream.name, *upstream.sleepers]
        rows = [(f"s{number}", name, upstream.port, f"s{number}.localhost") for number, name in enumerate(names)]
        rows[0] = ("s0", names[0], upstream.port, HOST)
        if upstream.long_port:
            rows.append(("long", upstream.long_name, upstream.long_port, LONG))
        services = "".join(
            f"  - {{ name: {name}, container: {container}, port: {port}, hosts: [{host}],"
            f" idle: {{ stop_after: never }} }}\n"
            for name, container, port, host in rows
        )
        config = f"""data_dir: {self.folder}/data
proxy: {{ listen: ["127.0.0.1:{self.port}", "unix:{self.socket}"] }}
admin: {{ listen: "127.0.0.1:{self.admin_port}" }}
caddy: {{ mode: "off" }}
docker: {{ labels: false }}
services:
{services}"""
        return [self.program, "serve", "--config", self.write("config.yml", config)]
