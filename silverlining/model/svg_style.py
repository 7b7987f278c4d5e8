"""The look of the SVG pictures: every colour twice, for a light and a dark page; patterns tell the kinds of lines apart without colour."""

from __future__ import annotations

LIGHT = {
    "page": "#ffffff",
    "text": "#1f2328",
    "muted": "#57606a",
    "host": "#f6f8fa",
    "host-line": "#afb8c1",
    "net": "#e8f1fb",
    "net-line": "#7aa7d9",
    "card": "#ffffff",
    "card-line": "#8c959f",
    "cell": "#f6f8fa",
    "cell-line": "#c6ccd3",
    "drum": "#eae6f7",
    "request": "#0550ae",
    "link": "#6e7781",
    "replication": "#8250df",
    "sentinel": "#a04100",
    "registry": "#116a70",
    "new": "#116329",
    "halo": "#9be3ad",
    "changed": "#7d4e00",
    "fault": "#b3202a",
}
DARK = {
    "page": "#0d1117",
    "text": "#e6edf3",
    "muted": "#a3acb6",
    "host": "#161b22",
    "host-line": "#4b535d",
    "net": "#10213a",
    "net-line": "#3a6ea8",
    "card": "#0d1117",
    "card-line": "#768390",
    "cell": "#1b222b",
    "cell-line": "#444c56",
    "drum": "#2c2547",
    "request": "#6cb6ff",
    "link": "#909dab",
    "replication": "#c297ff",
    "sentinel": "#f69d50",
    "registry": "#4cc6cf",
    "new": "#57d364",
    "halo": "#17512b",
    "changed": "#e3b341",
    "fault": "#ff8b82",
}


def _palette(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


STYLE = (
    f"""
.sl-picture {{ {_palette(LIGHT)} font-family: "DejaVu Sans", "Segoe UI", "Noto Sans", system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ .sl-picture {{ {_palette(DARK)} }} }}
"""
    + """
.sl-picture text { fill: var(--text); }
.sl-picture .mono { font-family: "DejaVu Sans Mono", ui-monospace, Menlo, Consolas, monospace; }
.sl-picture text.title, .sl-picture text.service, .sl-picture text.tag { font-weight: bold; }
.sl-picture text.muted { fill: var(--muted); }
.sl-picture .page { fill: var(--page); }
.sl-picture .host rect { fill: var(--host); stroke: var(--host-line); }
.sl-picture .network rect { fill: var(--net); stroke: var(--net-line); stroke-dasharray: 6 4; }
.sl-picture .box { fill: var(--card); stroke: var(--card-line); stroke-width: 1.2; }
.sl-picture .container > .box { fill: var(--cell); stroke: var(--cell-line); }
.sl-picture .client > .box, .sl-picture .port.public > .box { stroke: var(--request); stroke-width: 2; }
.sl-picture .drum { fill: var(--drum); stroke: var(--replication); }
.sl-picture .icon { fill: none; stroke: var(--muted); }
.sl-picture .new.new > .box { stroke: var(--new); stroke-width: 2.5; }
.sl-picture text.fresh { fill: var(--new); }
.sl-picture text.otherwise { fill: var(--changed); }
.sl-picture text.word { fill: var(--request); }
.sl-picture .fault > .box { stroke: var(--fault); stroke-width: 2; stroke-dasharray: 4 3; }
.sl-picture .fault text.word { fill: var(--fault); }
.sl-picture .line, .sl-picture .halo { fill: none; stroke: var(--link); stroke-width: 1.5; stroke-linejoin: round; }
.sl-picture .halo { stroke: var(--halo); stroke-width: 9; stroke-linecap: round; }
.sl-picture .request > .line { stroke: var(--request); stroke-width: 3; }
.sl-picture .answer > .line { stroke: var(--request); stroke-width: 2; stroke-dasharray: 9 4; }
.sl-picture .port > .line { stroke-dasharray: 1 3; stroke-linecap: round; }
.sl-picture .replication > .line { stroke: var(--replication); stroke-width: 2; stroke-dasharray: 8 3; }
.sl-picture .sentinel > .line { stroke: var(--sentinel); stroke-dasharray: 3 3; }
.sl-picture .registry > .line { stroke: var(--registry); stroke-dasharray: 9 3 2 3; }
.sl-picture .arrow path { fill: var(--link); }
.sl-picture .arrow.request path, .sl-picture .arrow.answer path { fill: var(--request); }
.sl-picture .arrow.replication path { fill: var(--replication); }
.sl-picture .arrow.sentinel path { fill: var(--sentinel); }
.sl-picture .arrow.registry path { fill: var(--registry); }
"""
)
