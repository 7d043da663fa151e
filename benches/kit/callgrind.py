"""Counting instructions with valgrind's callgrind, from one moment to another."""

import re
import shutil
import time
from pathlib import Path

from .machine import Trouble, run


def check():
    missing = [tool for tool in ("valgrind", "callgrind_control", "callgrind_annotate") if not shutil.which(tool)]
    if missing:
        raise Trouble(f"missing: {' '.join(missing)} (on Debian: apt-get install valgrind)")


def command(folder):
    """Before the program's own. One core: as many workers on every machine, and one connection
    cannot come to another worker than the last."""
    out = f"--callgrind-out-file={folder}/counts.%p"
    return ["taskset", "-c", "0", "valgrind", "--tool=callgrind", out, "--log-file=" + str(folder / "valgrind.log")]


class Dump:
    """What was counted in one stretch."""

    def __init__(self, file):
        self.file = file
        totals = re.search(r"^(?:totals|summary): (\d+)", file.read_text(errors="replace"), re.M)
        if not totals:
            raise Trouble(f"callgrind wrote no total to {file}")
        self.total = int(totals[1])

    def functions(self, most, inclusive, requests):
        """Rows of a table: the functions that cost most."""
        flag = "--inclusive=yes" if inclusive else "--inclusive=no"
        text = run("callgrind_annotate", "--threshold=100", "--show-percs=no", "--auto=no", flag, self.file)
        rows = [["instructions", "%", "function"]]
        for line in re.finditer(r"^ *([\d,]+)  (\S.*)$", text, re.M):
            counted = int(line[1].replace(",", ""))
            # What was under way all the time, the bottom of each thread's stack, says nothing.
            if counted >= 0.999 * self.total:
                continue
            # "file:function [object]"; the file is mostly unknown.
            name = re.sub(r"^(?:\?\?\?|\S+\.(?:c|S|h|rs)):|::h[0-9a-f]{16}| \[[^\]]*\]$", "", line[2])
            rows.append([f"{counted / requests:,.0f}", f"{counted / self.total * 100:.1f}", name[:140]])
            if len(rows) > most:
                break
        return rows


class Counter:
    """Cuts what a running process counts into stretches."""

    def __init__(self, folder, pid):
        self.folder, self.pid = Path(folder), pid

    def begin(self):
        run("callgrind_control", "--zero", str(self.pid), timeout=60)

    def end(self):
        """What was counted since the last beginning or end."""
        before = set(self.folder.glob("counts.*"))
        run("callgrind_control", "--dump", str(self.pid), timeout=60)
        patience = time.monotonic() + 30
        while time.monotonic() < patience:
            fresh = [file for file in set(self.folder.glob("counts.*")) - before if self._is_whole(file)]
            if fresh:
                return Dump(fresh[0])
            time.sleep(0.1)
        raise Trouble("callgrind wrote no counts: may this user trace its own processes (ptrace)?")

    @staticmethod
    def _is_whole(file):
        return re.search(r"^totals: ", file.read_text(errors="replace"), re.M)
