"""Figures to tables."""

from statistics import median

FIGURES = [
    # key, title, scale, decimals
    ("requests_per_second", "requests/s", 1, 0),
    ("cpu_micros_per_request", "CPU µs/request", 1, 1),
    ("p50_micros", "p50 ms", 1e-3, 2),
    ("p99_micros", "p99 ms", 1e-3, 2),
]
RATIOS = FIGURES[:2] + FIGURES[3:]
MIB = 2**20


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


def figures(result):
    rows = [["", *(title for _, title, _, _ in FIGURES), "resident MiB idle", "after load"]]
    for name, proxy in result["proxies"].items():
        rounds = proxy["rounds"]
        cells = [spread([one[key] for one in rounds], scale, decimals) for key, _, scale, decimals in FIGURES]
        memory = [f"{proxy[when]['rss'] / MIB:.1f}" for when in ("idle", "after")]
        rows.append([f"{name} {proxy['version']}", *cells, *memory])
    return table(rows)


def ratios(result, ours):
    """Ours against each of the others, round by round: what disturbs a round disturbs both."""
    rounds = {name: proxy["rounds"] for name, proxy in result["proxies"].items()}
    rows = [["", *(title for _, title, _, _ in RATIOS)]]
    for mine in ours:
        for other in rounds:
            if other == mine or (other in ours and other != ours[0]):
                continue
            cells = [
                spread([own[key] / theirs[key] for own, theirs in zip(rounds[mine], rounds[other])])
                for key, _, _, _ in RATIOS
            ]
            rows.append([f"{mine} / {other}", *cells])
    return table(rows)
