"""The machine: what has to be on it, what it is, and processes that end when the run ends."""

import http.client
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "wrk": "wrk",
    "docker": "docker.io",
}
os.environ["PATH"] += ":/usr/sbin:/sbin"


class Trouble(Exception):
    """Why there are no figures."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*command, **options):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(command, capture_output=True, **options)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace").strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def target(root):
    """Where cargo builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))


def install_missing(*programs):
    """Gets from Debian what is not there. A service that comes with a package is not started."""
    wanted = programs or PACKAGES
    missing = [PACKAGES[program] for program in wanted if not shutil.which(program)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Trouble(f"missing: {' '.join(missing)} (on Debian as root they are installed)")
    say(f"installing {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", env=environment)
    install = ("apt-get", "install", "--yes", "--no-install-recommends")
    engine = [package for package in missing if package == "docker.io"]
    others = [package for package in missing if package != "docker.io"]
    if engine:
        run(*install, *engine, env=environment)
        if not shutil.which("docker"):
            run(*install, "docker-cli", env=environment)  # a package of its own from Debian 13 on
    # Debian starts a web server as soon as it is installed, on port 80. This says no to that.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        if others:
            run(*install, *others, env=environment)
    finally:
        if ours:
            policy.unlink()
    if Path("/run/systemd/system").is_dir():
        for service in set(others) & {"haproxy", "caddy"} | ({"nginx"} if "nginx-light" in others else set()):
            run("systemctl", "--quiet", "disable", service)


def description():
    """In general words: whoever reads the figures should know what they were taken on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "cpu": model[1] if model else "unknown",
        "memory_gib": round(memory),
        "kernel": ".".join(platform.release().split(".")[:2]),
    }


class Process:
    """A process, in a session of its own: that tells its children from everybody else's, and keeps
    a Ctrl-C for us alone."""

    def __init__(self, name, command, log, environment=None):
        self.name, self.log = name, log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | (environment or {}),
                start_new_session=True,
            )

    def _stats(self):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    text = Path(entry.path, "stat").read_text()
                except OSError:
                    continue  # it ended in between
                fields = text.rpartition(")")[2].split()
                if int(fields[3]) == self.child.pid:  # the session
                    yield int(entry.name), fields

    def cpu(self):
        """Seconds of CPU time, user and system, of all its processes with all their threads."""
        return sum(int(fields[11]) + int(fields[12]) for _, fields in self._stats()) / TICK

    def resident(self):
        """Resident memory in bytes, and the same with shared pages counted once."""
        sizes = []
        for pid, _ in self._stats():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            sizes.append([int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1]) * 1024 for key in ("Rss", "Pss")])
        return [sum(column) for column in zip(*sizes)]

    def wait_until(self, ready, patience=20):
        """Waits for it to serve; shows its log where it never does."""
        end = time.monotonic() + patience
        while True:
            try:
                if ready():
                    return
            except (OSError, http.client.HTTPException):
                pass
            if self.child.poll() is not None or time.monotonic() > end:
                tail = Path(self.log).read_text(errors="replace")[-2000:]
                raise Trouble(f"{self.name} does not serve:\n{tail}")
            time.sleep(0.05)

    def end(self):
        for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if self.child.poll() is None:
                self.child.send_signal(sign)
                try:
                    self.child.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        for pid, _ in list(self._stats()):  # a worker whose master was killed
            os.kill(pid, signal.SIGKILL)
