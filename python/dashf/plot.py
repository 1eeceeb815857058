"""Figures for papers, on matplotlib: IEEE column widths, colours that the colour-blind can tell apart.

Each function draws on ``ax``, or on a new figure one column wide, and returns the axes; ``save`` writes PDF, PGF, SVG or
PNG, by the file's name. Nothing is shown on a screen: that is matplotlib's and the notebook's part.
"""
from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import checks
from .errors import IoError, UsageError
from .pictures import COLOURS, _strongest, has_places
from .plan import PHASES, Plan
from .scenario import Scenario
from .study import FIGURES, mark, summarise

__all__ = ["axes", "cdf", "convergence", "gantt", "map", "save", "shares", "splits", "style", "sweep"]

COLUMN_IN, PAGE_IN = 3.5, 7.16  # Of IEEE's two-column pages.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
_LABELS = {"scr": "service-cost ratio", "percent_of_best": "SCR, % of the best", "score": "score", "cost": "cost",
           "delay_s": "delay (s)", "energy_j": "energy (J)", "elapsed_s": "run time (s)"}
_HOLDS = {"bandwidth": ("bandwidth_hz", "server_bandwidth_hz"), "power": ("server_tx_power_w", "server_tx_power_w_max"),
          "clock": ("server_clock_hz", "server_clock_hz_max")}


def style() -> dict[str, Any]:
    """matplotlib's settings of these figures, for ``matplotlib.rc_context(style())``."""
    return {"font.family": "serif", "font.size": 8, "axes.labelsize": 8, "legend.fontsize": 7, "xtick.labelsize": 7,
            "ytick.labelsize": 7, "axes.grid": True, "grid.alpha": 0.3, "grid.linewidth": 0.5, "lines.linewidth": 1.2,
            "lines.markersize": 4, "axes.prop_cycle": matplotlib.cycler(color=COLOURS), "pdf.fonttype": 42,
            "figure.constrained_layout.use": True, "pgf.rcfonts": False}


def axes(columns: int = 1, height_in: float = 2.4) -> Axes:
    """New axes one or two columns wide."""
    width = COLUMN_IN if checks.integer("columns", columns, 1, 2) == 1 else PAGE_IN
    with matplotlib.rc_context(style()):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = Figure(figsize=(width, checks.number("height_in", height_in, 0.0, above=True)))
        FigureCanvasAgg(figure)
        return figure.add_subplot()


def save(ax: Axes | Figure, path: os.PathLike[str] | str) -> None:
    """Writes the figure as its name says: .pdf, .svg, .png, or .pgf (which needs LaTeX). Raises IoError."""
    figure = ax if isinstance(ax, Figure) else ax.figure
    name = checks.path("path", path)
    checks.one_of("path", os.path.splitext(name)[1], (".pdf", ".pgf", ".svg", ".png"))
    with matplotlib.rc_context({**style(), "svg.hashsalt": "dashf"}):
        try:
            figure.savefig(name, dpi=300, metadata={"Date": None} if name.endswith(".svg") else
                           {"CreationDate": None} if name.endswith(".pdf") else None)
        except (OSError, RuntimeError) as error:
            raise IoError(name, f"cannot be written: {error}") from None


_Words = ParamSpec("_Words")


def _styled(draw: Callable[_Words, Axes]) -> Callable[_Words, Axes]:
    """In this module's style where it draws on axes of its own; on others' in theirs."""
    parameters = inspect.signature(draw)

    @functools.wraps(draw)
    def drawn(*words: _Words.args, **more: _Words.kwargs) -> Axes:
        if parameters.bind(*words, **more).arguments.get("ax") is not None:
            return draw(*words, **more)
        with matplotlib.rc_context(style()):
            return draw(*words, **more)

    return drawn


def _legend_above(ax: Axes, columns: int) -> None:
    ax.legend(ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, columnspacing=1.0,
              handlelength=1.6, borderaxespad=0.2)


def _literal(text: str) -> str:
    """As it stands: no mathematics between dollars, and not left out of a legend for an underscore."""
    text = text.replace("$", r"\$")
    return f" {text}" if text[:1] in ("", "_") else text


def _along(values: Any) -> Any:
    """Numbers as they are; with others among them, each value has a place of its own."""
    if all(isinstance(value, (int, float, np.number)) and np.isfinite(value) for value in values):
        return values
    return [f"{value:g}" if isinstance(value, float) and np.isfinite(value) else
            "none" if mark(value) is None else _literal(str(value)) for value in values]


def _on(ax: Axes | None, **more: Any) -> Axes:
    return axes(**more) if ax is None else ax


@_styled
def map(scenario: Scenario, plan: Plan | None = None, ax: Axes | None = None) -> Axes:
    """Servers as squares, users as dots; each user's line leads to its server, or its strongest one without a plan.

    Raises UsageError where all are at one place, as in a scenario that was given no positions.
    """
    if not has_places(scenario):
        raise UsageError("scenario", "must have places for a map: give user_position_m and server_position_m",
                         f"all at {tuple(float(x) for x in scenario.server_position_m[0])} m")
    ax = _on(ax, height_in=3.0)
    users, servers = np.asarray(scenario.user_position_m), np.asarray(scenario.server_position_m)
    of_user = np.asarray(plan.server) if plan is not None else _strongest(scenario)
    for m, name in enumerate(scenario.server_ids):
        colour = COLOURS[m % len(COLOURS)]
        here = users[of_user == m]
        for x, y in here:
            ax.plot([x, servers[m, 0]], [y, servers[m, 1]], color=colour, alpha=0.35, linewidth=0.8,
                    linestyle="-" if plan is not None else ":")
        ax.plot(here[:, 0], here[:, 1], "o", color=colour, markersize=3.5)
        ax.plot(*servers[m], "s", color=colour, markersize=7, markeredgecolor="black")
        ax.annotate(_literal(name), servers[m], textcoords="offset points", xytext=(5, 5), fontsize=7)
    alone = users[of_user < 0]
    ax.plot(alone[:, 0], alone[:, 1], "o", color="0.6", markersize=3.5)
    ax.set(xlabel="x (m)", ylabel="y (m)", aspect="equal")
    return ax


@_styled
def convergence(plans: Plan | Mapping[str, Plan], *, over: str = "iterations", ax: Axes | None = None) -> Axes:
    """SCR of the best plan so far over "iterations" or "time", and where they have one, the bound as a dashed line."""
    checks.one_of("over", over, ("iterations", "time"))
    ax = _on(ax)
    named = {plans.method: plans} if isinstance(plans, Plan) else dict(plans)
    for i, (name, plan) in enumerate(named.items()):
        colour = COLOURS[i % len(COLOURS)]
        x = [row.elapsed_s if over == "time" else row.iteration for row in plan.history]
        ax.step(x, [row.scr for row in plan.history], where="post", color=colour, label=_literal(name),
                marker=MARKERS[i % len(MARKERS)], markersize=3)
        if plan.scr_upper is not None:
            ax.axhline(plan.scr_upper, color=colour, linestyle="--", linewidth=0.9, label=_literal(f"{name}: bound"))
    ax.set(xlabel="time (s)" if over == "time" else "iteration", ylabel=_LABELS["scr"])
    ax.legend()
    return ax


@_styled
def sweep(frame: Any, x: str, figure: str = "scr", *, confidence: float = 0.95, label: str | None = None,
          ax: Axes | None = None) -> Axes:
    """Means over the seeds of a sweep's frame, over its varied column ``x``, a curve per method, with Student's t
    intervals as bars; other varied columns must have one value."""
    checks.one_of("figure", figure, FIGURES)
    if x not in frame.columns:
        raise UsageError("x", f"must be one of {', '.join(frame.columns)}", repr(x))
    others = [name for name in frame.columns if name not in (x, "method", "seed", "note", *FIGURES)]
    for name in others:
        count = len(set(frame[name].map(mark)))
        if count > 1:
            raise UsageError("frame", f"must have one value of {name}: choose one", str(count))
    ax = _on(ax)
    means = summarise(frame, [figure], confidence=confidence)
    for i, (method, rows) in enumerate(means.groupby("method", sort=False)):
        half = np.where(np.isfinite(rows[f"{figure}_plus_minus"]), rows[f"{figure}_plus_minus"], 0.0)
        ax.errorbar(_along(rows[x]), rows[figure], yerr=half, color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)],
                    capsize=1.5, elinewidth=0.6, linestyle="-" if i < len(COLOURS) else "--", label=_literal(method))
    ax.set(xlabel=label or _literal(x), ylabel=_LABELS[figure])
    _legend_above(ax, 3)
    return ax


@_styled
def cdf(plans: Plan | Mapping[str, Plan], quantity: str = "delay", ax: Axes | None = None) -> Axes:
    """The share of users whose whole "delay" or "energy" is at most so much."""
    checks.one_of("quantity", quantity, ("delay", "energy"))
    ax = _on(ax)
    named = {plans.method: plans} if isinstance(plans, Plan) else dict(plans)
    for i, (name, plan) in enumerate(named.items()):
        each = np.sort((plan.user_delay_s if quantity == "delay" else plan.user_energy_j).sum(axis=1))
        ax.step(np.concatenate([each[:1], each]), np.arange(len(each) + 1) / len(each), where="post",
                color=COLOURS[i % len(COLOURS)], label=_literal(name), linestyle=("-", "--", ":", "-.")[i % 4])
    ax.set(xlabel=f"{quantity} of a user ({'s' if quantity == 'delay' else 'J'})", ylabel="share of users", ylim=(0, 1))
    ax.legend()
    return ax


@_styled
def gantt(plan: Plan, users: Sequence[int] | None = None, ax: Axes | None = None) -> Axes:
    """Each user's phases one after the other; with the makespan the servers' begin when all users' have ended."""
    chosen = range(plan.scenario.users) if users is None else users
    ax = _on(ax, height_in=1.0 + 0.16 * len(chosen))
    delays = np.asarray(plan.user_delay_s)
    makespan = plan.scenario.delay == "makespan"
    barrier = float(delays[:, :2].sum(axis=1).max()) if makespan else None
    ids = plan.scenario.user_ids
    for row, n in enumerate(chosen):
        begin = 0.0
        for i, phase in enumerate(PHASES):
            if i == 2 and barrier is not None:
                begin = barrier
            ax.barh(row, delays[n, i], left=begin, height=0.7, color=COLOURS[i], label=phase if row == 0 else None)
            begin += delays[n, i]
    if barrier is not None:
        ax.axvline(barrier, color="black", linewidth=0.8, linestyle="--")
    ax.set(xlabel="time (s)", yticks=range(len(chosen)), yticklabels=[_literal(ids[n]) for n in chosen])
    ax.invert_yaxis()
    _legend_above(ax, 4)
    return ax


@_styled
def shares(plan: Plan, resource: str = "bandwidth", ax: Axes | None = None) -> Axes:
    """How each server's "bandwidth", "power" or "clock" is shared out among its users; colours tell neighbours apart."""
    granted, limit = _HOLDS[checks.one_of("resource", resource, _HOLDS)]
    ax = _on(ax)
    part = getattr(plan, granted) / np.asarray(getattr(plan.scenario, limit))[plan.server]
    top, below = np.zeros(plan.scenario.servers), np.zeros(plan.scenario.servers, int)
    for n, m in enumerate(plan.server):
        ax.bar(int(m), part[n], bottom=top[m], color=COLOURS[below[m] % len(COLOURS)], edgecolor="white", linewidth=0.4)
        below[m] += 1
        if part[n] > 0.04:
            ax.text(int(m), top[m] + part[n] / 2, _literal(plan.scenario.user_ids[n]), ha="center", va="center", fontsize=6,
                    color="white")
        top[m] += part[n]
    ax.set(xticks=range(plan.scenario.servers), xticklabels=[_literal(name) for name in plan.scenario.server_ids], ylabel=f"share of {resource}",
           ylim=(0, 1.02))
    return ax


@_styled
def splits(plans: Plan | Mapping[str, Plan], ax: Axes | None = None) -> Axes:
    """How many users train how many layers themselves."""
    ax = _on(ax)
    named = {plans.method: plans} if isinstance(plans, Plan) else dict(plans)
    width = 0.8 / len(named)
    for i, (name, plan) in enumerate(named.items()):
        layers, counts = np.unique(plan.local_layers, return_counts=True)
        ax.bar(layers + (i - (len(named) - 1) / 2) * width, counts, width, color=COLOURS[i % len(COLOURS)],
               label=_literal(name))
    ax.set(xlabel="layers at the user, k", ylabel="users")
    ax.legend()
    return ax
