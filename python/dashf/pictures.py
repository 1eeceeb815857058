"""What notebooks show: a scenario as a map, a plan as a table. Drawn as SVG and HTML, without other packages."""
from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .plan import Plan
    from .planning import Comparison
    from .scenario import Scenario

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D00", "#000000")
_SIDE, _MARGIN = 360, 18
_USERS_MAX = 2000  # Drawn; of more, so many.
_ROWS_MAX = 40
_NAMED_MAX = 40  # Users with their names beside them.


def has_places(scenario: Scenario) -> bool:
    """Not all at one place, where scenarios without positions have everything."""
    everything = np.vstack([scenario.user_position_m, scenario.server_position_m])
    return bool(np.any(everything != everything[0]))


def _to_pixels(positions: np.ndarray, low: np.ndarray, span: float) -> np.ndarray:
    scaled = (positions - low) / span * (_SIDE - 2 * _MARGIN) + _MARGIN
    scaled[:, 1] = _SIDE - scaled[:, 1]
    return scaled


def map_svg(scenario: Scenario, plan: Plan | None = None) -> str:
    """Servers as squares and users as dots, each user with a line to its server, or its strongest one without a plan.

    A sentence instead where the scenario has no positions.
    """
    if not has_places(scenario):
        return "<div>No map: all users and servers are at one place. Scenarios may have user_position_m and " \
               "server_position_m.</div>"
    users, servers = np.array(scenario.user_position_m), np.array(scenario.server_position_m)
    everything = np.vstack([users, servers])
    low = everything.min(axis=0)
    span = float((everything.max(axis=0) - low).max())
    shown = np.linspace(0, len(users) - 1, min(len(users), _USERS_MAX)).astype(int)
    at_user, at_server = _to_pixels(users, low, span), _to_pixels(servers, low, span)
    of_user = np.asarray(plan.server) if plan is not None else _strongest(scenario)
    ids, server_ids = scenario.user_ids, scenario.server_ids
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIDE}" height="{_SIDE}" '
             f'viewBox="0 0 {_SIDE} {_SIDE}" role="img"><rect width="{_SIDE}" height="{_SIDE}" fill="#fff" '
             'stroke="#ccc"/>']
    dashes = "" if plan is not None else ' stroke-dasharray="3 3"'
    for n in shown:
        m = int(of_user[n])
        colour = COLOURS[m % len(COLOURS)] if m >= 0 else "#888"
        x, y = at_user[n]
        if m >= 0:
            parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{at_server[m][0]:.1f}" y2="{at_server[m][1]:.1f}" '
                         f'stroke="{colour}" stroke-opacity="0.4"{dashes}/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{escape(ids[n])}</title></circle>')
        if len(users) <= _NAMED_MAX:
            parts.append(_label(x, y, ids[n], "#555"))
    for m, (x, y) in enumerate(at_server):
        parts.append(f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="{COLOURS[m % len(COLOURS)]}" '
                     f'stroke="#000"><title>{escape(server_ids[m])}</title></rect>{_label(x, y, server_ids[m], "#000")}')
    parts.append(f'<text x="{_SIDE - 6}" y="{_SIDE - 6}" text-anchor="end" font-size="11" fill="#555">'
                 f'{span:.4g} m</text></svg>')
    return "".join(parts)


def _label(x: float, y: float, name: str, colour: str) -> str:
    """Beside a place, towards the middle of the map."""
    right = x < _SIDE / 2
    return (f'<text x="{x + (8 if right else -8):.1f}" y="{y - 5:.1f}" text-anchor="{"start" if right else "end"}" '
            f'font-size="10" fill="{colour}">{escape(name)}</text>')


def _strongest(scenario: Scenario) -> np.ndarray:
    user, server, gain = scenario.links
    best = np.full(scenario.users, -1)
    order = np.argsort(gain, kind="stable")  # The last one written is the strongest.
    best[user[order]] = server[order]
    return best


def _table(heads: list[str], rows: list[list[str]], left_out: int = 0) -> str:
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    more = f'<tr><td colspan="{len(heads)}">... {left_out} more</td></tr>' if left_out > 0 else ""
    return ("<table><thead><tr>" + "".join(f"<th>{head}</th>" for head in heads) + f"</tr></thead><tbody>{body}{more}"
            "</tbody></table>")


def scenario_html(scenario: Scenario) -> str:
    """A line of figures and the map."""
    links = len(scenario.links[2])
    return (f"<div><b>{escape(scenario.name) or 'Scenario'}</b>: {scenario.users} users, {scenario.servers} servers, "
            f"{links} links, {scenario.delay} delay</div>{map_svg(scenario)}")


def plan_html(plan: Plan) -> str:
    """A line of figures, the map with the association, and a row per user."""
    scenario = plan.scenario
    gap = f", within {100 * plan.gap:.3g} % of the {plan.bound_status} bound" if plan.gap is not None else ""
    broken = "" if plan.feasible else f", <b>breaks {len(plan.violations)} limits</b>: {escape(str(plan.violations[0]))}"
    head = (f"<div><b>Plan by {escape(plan.method)}</b>: SCR {plan.scr:.6g}{gap}{broken}; delay {plan.delay_s:.5g} s, "
            f"energy {plan.energy_j:.5g} J</div>")
    ids, server_ids = scenario.user_ids, scenario.server_ids
    layers = [len(p) - 1 for p in (np.array(row)[~np.isnan(row)] for row in scenario.profile_table("local_flop"))]
    rows = []
    for n in range(min(scenario.users, _ROWS_MAX)):
        rows.append([escape(ids[n]), escape(server_ids[plan.server[n]]),
                     f"{plan.local_layers[n]} of {layers[scenario.user_profile[n]]}",
                     f"{plan.local_clock_hz[n] * 1e-9:.3f}", f"{plan.tx_power_w[n]:.3f}",
                     f"{plan.bandwidth_hz[n] * 1e-6:.3f}", f"{plan.server_tx_power_w[n]:.3f}",
                     f"{plan.server_clock_hz[n] * 1e-9:.3f}", f"{plan.user_delay_s[n].sum():.4g}",
                     f"{plan.user_energy_j[n].sum():.4g}"])
    heads = ["user", "server", "layers at home", "own GHz", "own W", "MHz", "server's W", "server's GHz", "delay s",
             "energy J"]
    return (f'{head}<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start">{map_svg(scenario, plan)}'
            f"<div>{_table(heads, rows, scenario.users - len(rows))}</div></div>")


def comparison_html(comparison: Comparison) -> str:
    """A row per method."""
    rows = []
    for row in comparison.table():
        cells = [f"{row[key]:{form}}" if row[key] is not None else "-"
                 for key, form in (("scr", ".6g"), ("percent_of_best", ".2f"), ("delay_s", ".5g"), ("energy_j", ".5g"),
                                   ("elapsed_s", ".3f"))]
        rows.append([escape(row["method"]), *cells, escape(row["note"])])
    return _table(["method", "SCR", "% of best", "delay s", "energy J", "time s", "note"], rows)
