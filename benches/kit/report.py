"""Figures to tables."""

from statistics import median

MIB = 2**20
# Of a scene: what it is, and its columns: key, title, scale, decimals.
REQUESTS = [
    ("requests_per_second", "requests/s", 1, 0),
    ("cpu_micros_per_request", "CPU µs/request", 1, 1),
    ("p50_micros", "p50 ms", 1e-3, 2),
    ("p99_micros", "p99 ms", 1e-3, 2),
]
BYTES = [
    ("bytes_per_second", "MB/s", 1e-6, 0),
    ("bytes_per_cpu_second", "MB per CPU second", 1e-6, 0),
    ("growth", "memory growth in a turn, KiB", 1 / 1024, 0),
]
SCENES = {
    "small": ("{connections} connections, as fast as they can", REQUESTS),
    "crowd": ("512 connections", REQUESTS),
    "rate": (
        "{rate} requests a second, {connections} connections; a request's time runs from when it was due",
        [*REQUESTS[1:], ("p999_micros", "p99.9 ms", 1e-3, 2)],
    ),
    "front": ("Caddy in front of WakeDock and Caddy alone (CPU of Caddy alone)", REQUESTS),
    "download": ("Downloads of 100 MiB", BYTES),
    "upload": ("Uploads of 100 MiB", BYTES),
    "websocket": (
        "WebSocket echo, {connections} connections, messages of 64 bytes",
        [("messages_per_second", "messages/s", 1, 0), ("cpu_micros_per_message", "CPU µs/message", 1, 1)],
    ),
}
# What it is, scene, key, against whom, at least or at most, how much.
GOALS = [
    ("CPU time per request", "small", "cpu_micros_per_request", "nginx", "≤", 0.95),
    ("CPU time per request", "small", "cpu_micros_per_request", "haproxy", "≤", 0.85),
    ("requests per second", "small", "requests_per_second", "nginx", "≥", 1.05),
    ("requests per second, 512 connections", "crowd", "requests_per_second", "nginx", "≥", 1.05),
    ("p99 at the same fixed rate", "rate", "p99_micros", "nginx", "≤", 1.0),
    ("100 MiB down, bytes per CPU second", "download", "bytes_per_cpu_second", "nginx", "≥", 1.8),
    ("100 MiB up, bytes per CPU second", "upload", "bytes_per_cpu_second", "nginx", "≥", 1.8),
    ("WebSocket messages per second", "websocket", "messages_per_second", "haproxy", "≥", 0.9),
]
FRONT = ("Caddy in front, requests per second", "front", "requests_per_second", "caddy alone", "≥", 0.85)


def spread(values, scale=1, decimals=2):
    """The median, and between which values it lies."""
    low, middle, high = (f"{value * scale:.{decimals}f}" for value in (min(values), median(values), max(values)))
    return f"{middle} ({low}–{high})"


def table(rows):
    """A table in Markdown that also reads well on a terminal."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    line = "| " + " | ".join("{:<%d}" % width for width in widths) + " |"
    ruler = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    first, *others = (line.format(*row) for row in rows)
    return "\n".join([first, ruler, *others])


def label(name, proxy):
    return f"{name} {proxy['version']}"


def scene(result, name):
    """The figures of one scene, of all who played."""
    title, columns = SCENES[name]
    rows = [["", *(column[1] for column in columns)]]
    for who, proxy in result["proxies"].items():
        if rounds := proxy["scenes"].get(name):
            cells = [spread([one[key] for one in rounds], scale, decimals) for key, _, scale, decimals in columns]
            rows.append([label(who, proxy), *cells])
    return f"{title.format(**result['options'])}:\n\n{table(rows)}" if len(rows) > 1 else ""


def memory(result):
    rows = [["resident MiB", "idle", "after everything"]]
    for name, proxy in result["proxies"].items():
        rows.append([label(name, proxy), *(f"{proxy[when]['rss'] / MIB:.1f}" for when in ("idle", "after"))])
    return table(rows)


def ratio(result, mine, other, name, key):
    """Round by round: what disturbs a round disturbs both."""
    own, theirs = (result["proxies"].get(who, {}).get("scenes", {}).get(name) for who in (mine, other))
    return [a[key] / b[key] for a, b in zip(own, theirs)] if own and theirs else []


def judged(ratios, sign, goal):
    met = median(ratios) <= goal if sign == "≤" else median(ratios) >= goal
    return [f"{sign} {goal}", spread(ratios), "yes" if met else "no"]


def goals(result, mine):
    """What this program is to reach, and what it does."""
    rows = [["figure", "against", "goal", "measured", "met"]]
    for what, name, key, other, sign, goal in GOALS:
        if ratios := ratio(result, mine, other, name, key):
            rows.append([what, other, *judged(ratios, sign, goal)])
    front = next((name for name, proxy in result["proxies"].items() if proxy["kind"] == "front"), None)
    what, name, key, other, sign, goal = FRONT
    if ratios := front and ratio(result, front, "caddy", name, key):
        rows.append([what, other, *judged(ratios, sign, goal)])
    proxy = result["proxies"][mine]
    for name in ("download", "upload"):
        if rounds := proxy["scenes"].get(name):
            most = max(one["growth"] for one in rounds) / 1e6
            rows.append([f"memory growth by five of 100 MiB, {name}", "", "< 2 MB", f"{most:.1f} MB", "yes" if most < 2 else "no"])
    if grown := proxy.get("growth"):
        more = (grown["after"] - grown["before"]) / 1024
        what = f"memory growth, {grown['requests']:,} requests"
        rows.append([what, "", "0", f"{more:+,.0f} KiB", "yes" if more <= 0 else "no"])
    idle = proxy["idle"]["rss"] / 1e6
    what = f"resident memory, idle, {result['options']['services']} services"
    rows.append([what, "", "≤ 12 MB", f"{idle:.1f} MB", "yes" if idle <= 12 else "no"])
    return table(rows)


def whole(result, ours):
    """Everything, in Markdown."""
    about, options = result["machine"], result["options"]
    head = (
        f"{about['cores']} cores ({about['cpu']}), Linux {about['kernel']}; load and upstream on the same cores;"
        f" {options['body']} bytes, turns of {options['seconds']} s, {options['services']} services;"
        " median (lowest–highest)"
    )
    parts = [scene(result, name) for name in SCENES]
    parts = [head, *(part for part in parts if part), memory(result)]
    parts += [f"{mine}, ratios round by round:\n\n{goals(result, mine)}" for mine in ours]
    return "\n\n".join(parts)
