"""Figures to a picture for the README, in the reader's own colours."""

from statistics import median

# Scene, key, title, scale, decimals.
PANELS = [
    ("small", "cpu_micros_per_request", "CPU time per request, µs (less is better)", 1, 1),
    ("small", "requests_per_second", "Requests per second, {connections} connections (more is better)", 1e-3, 1),
    ("rate", "p99_micros", "p99 at {rate} requests a second, ms (less is better)", 1e-3, 2),
]
UNITS = ["", "k", ""]
NAMES = {"nginx": "nginx", "haproxy": "HAProxy", "caddy": "Caddy", "wakedock": "WakeDock"}
WIDTH, LEFT, RIGHT, BAR, GAP, TITLE = 720, 92, 84, 18, 8, 34

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .note { fill: #59636e; font-size: 11px }
.bar { fill: #afb8c1 } .ours { fill: #1f6feb } .spread { stroke: #59636e; stroke-width: 1.5; fill: none }
.own { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .bar { fill: #484f58 } .ours { fill: #388bfd } .spread { stroke: #9198a1 }
}
"""


def values(proxy, scene, key):
    return [one[key] for one in proxy["scenes"].get(scene, [])]


def panel(result, rows, scene, key, scale, decimals, unit, top):
    """Bars from the top on; the longest fills the width, with its spread."""
    figures = [(name, ours, [value * scale for value in values(proxy, scene, key)]) for name, ours, proxy in rows]
    figures = [(name, ours, found) for name, ours, found in figures if found]
    longest = max(max(found) for _, _, found in figures)
    parts = []
    for name, ours, found in figures:
        at = lambda value: LEFT + (WIDTH - LEFT - RIGHT) * value / longest  # noqa: E731
        middle, y = median(found), top + BAR / 2
        parts += [
            f'<text class="{"own" if ours else "name"}" x="{LEFT - 8}" y="{y + 4.5:.1f}" text-anchor="end">{name}</text>',
            f'<rect class="{"ours" if ours else "bar"}" x="{LEFT}" y="{top}" rx="2"'
            f' width="{at(middle) - LEFT:.1f}" height="{BAR}"/>',
            f'<path class="spread" d="M{at(min(found)):.1f} {y}H{at(max(found)):.1f}'
            f'm0 -4v8M{at(min(found)):.1f} {y - 4}v8"/>',
            f'<text x="{at(max(found)) + 8:.1f}" y="{y + 4.5:.1f}">{middle:.{decimals}f}{unit}</text>',
        ]
        top += BAR + GAP
    return parts, top


def draw(result, ours):
    """The whole picture."""
    rows = [
        (NAMES.get(proxy["kind"], name), name == ours, proxy)
        for name, proxy in result["proxies"].items()
        if proxy["kind"] in NAMES and (proxy["kind"] != "wakedock" or name == ours)
    ]
    parts, top = [], 0
    for (scene, key, title, scale, decimals), unit in zip(PANELS, UNITS):
        if not any(values(proxy, scene, key) for _, _, proxy in rows):
            continue
        title = title.format(**result["options"])
        parts.append(f'<text class="title" x="{LEFT}" y="{top + 22}">{title}</text>')
        bars, top = panel(result, rows, scene, key, scale, decimals, unit, top + TITLE)
        parts += bars
        top += 8
    about = result["machine"]
    notes = [
        ", ".join(f"{name} {proxy['version']}" for name, _, proxy in rows),
        f"One run on {about['cores']} cores that load and upstream share: median, and lowest to highest round",
    ]
    for note in notes:
        top += 16
        parts.append(f'<text class="note" x="{LEFT}" y="{top}">{note}</text>')
    height = top + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="WakeDock beside nginx, HAProxy and Caddy">\n<style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
