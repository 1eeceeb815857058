"""The study of a paper: figures, captions and a page that puts the claims to the test.

    python -m dashf.paper --out figures/ --seeds 20

Every scenario that was planned is a line of ``results.jsonl`` in that folder at once: called again the study goes on from
there, also with more seeds. Needs pandas and matplotlib.
"""
from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import _core, plot
from .errors import Error
from .files import write_text
from .planning import compare, solve, workers
from .scenario import Scenario
from .study import FIGURES

METHODS = ("prices", "dashf", "association-only", "resource-only", "greedy", "random", "all-server")
SHOWN = (20, 3)  # Users and servers of the scenario whose plans are drawn.
PARTS = ("dashf", "dashf-hull", "dashf-one-start", "dashf-mean-shares", "association-only", "resource-only", "greedy")


def _study(**settings: Any) -> Callable[..., Scenario]:
    return lambda seed, **varied: Scenario.study(seed=seed, **{**settings, **varied})


def _scaled(column: str, **settings: Any) -> Callable[..., Scenario]:
    """The default study with a column times ``factor``."""

    def make(seed: int, factor: float) -> Scenario:
        scenario = Scenario.study(seed=seed, **settings)
        return scenario.replace(**{column: np.asarray(getattr(scenario, column)) * factor})

    return make


@dataclasses.dataclass(frozen=True)
class Part:
    """One parameter and what is planned for each of its values."""

    name: str
    varied: str
    values: tuple[Any, ...]
    label: str
    make: Callable[..., Scenario]
    methods: tuple[str, ...] = METHODS
    figures: tuple[str, ...] = ("scr", "percent_of_best", "delay_s", "energy_j")
    constants: str = "10 users, 2 servers, total delay"


def parts() -> list[Part]:
    """The study."""
    made = [
        Part("users", "users", (5, 10, 20, 30, 40), "users", _study(servers=4), constants="4 servers, total delay"),
        Part("servers", "servers", (1, 2, 3, 4, 6), "servers", _study(users=20), constants="20 users, total delay"),
        Part("bandwidth", "bandwidth_hz", (5e6, 10e6, 20e6, 40e6, 80e6), "bandwidth of a server (Hz)", _study()),
        Part("user-power", "user_tx_power_w", (0.05, 0.1, 0.2, 0.4), "transmit power of a user (W)", _study()),
        Part("server-power", "server_tx_power_w", (2.5, 5.0, 10.0, 20.0), "transmit power of a server (W)", _study()),
        Part("user-clock", "factor", (0.25, 0.5, 1.0, 2.0, 4.0), "clock of users, times the study's",
             _scaled("user_clock_hz_max")),
        Part("server-clock", "factor", (0.25, 0.5, 1.0, 2.0, 4.0), "clock of servers, times the study's",
             _scaled("server_clock_hz_max")),
        Part("delay-weight", "delay_weight_per_s", (1e-4, 3e-4, 1e-3, 3e-3), "weight of delay (1/s)", _study()),
        Part("energy-weight", "energy_weight_per_j", (1e-5, 3e-5, 1e-4, 3e-4, 1e-3), "weight of energy (1/J)", _study()),
        Part("candidates", "candidates", (1, 2, 3, 4), "servers in a user's reach", _study(users=20, servers=4),
             constants="20 users, 4 servers, total delay"),
        Part("makespan", "users", (4, 8, 12, 16), "users", _study(servers=2, delay="makespan"),
             constants="2 servers, makespan"),
        Part("parts", "users", (10, 20, 40), "users", _study(servers=4), PARTS, ("scr", "percent_of_best"),
             "4 servers, total delay"),
        Part("size", "users", (10, 30, 100, 300), "users (one server for each ten)",
             lambda seed, users: Scenario.study(users, max(1, users // 10), seed=seed, candidates=8),
             ("prices", "dashf", "association-only", "greedy"), ("elapsed_s", "scr"),
             "a server for each ten users, 8 servers in reach, total delay"),
    ]
    return made


class Results:
    """results.jsonl: what every method made of a scenario, by part, value and seed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.rows: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        if os.path.exists(path):
            with open(path, "rb") as lines:
                for line in lines:
                    try:
                        row = json.loads(line)
                        if all(isinstance(made["method"], str) for made in row["methods"]):
                            self.rows[row["part"], json.dumps(row["value"]), row["seed"]] = row["methods"]
                    except (ValueError, KeyError, TypeError):  # The line that was being written when it was stopped.
                        continue

    def find(self, part: Part, value: Any, seed: int) -> list[dict[str, Any]] | None:
        """What was planned of it; nothing where other methods are asked for."""
        found = self.rows.get((part.name, json.dumps(value), seed))
        return found if found and [row["method"] for row in found] == list(part.methods) else None

    def add(self, part: Part, value: Any, seed: int, methods: list[dict[str, Any]]) -> None:
        """To the file first."""
        line = json.dumps({"part": part.name, "value": value, "seed": seed, "methods": methods})
        broken = os.path.exists(self.path) and os.path.getsize(self.path) > 0 and not _ends_a_line(self.path)
        with open(self.path, "a", encoding="utf-8") as out:
            out.write(("\n" if broken else "") + line + "\n")
        self.rows[part.name, json.dumps(value), seed] = methods

    def frame(self, part: Part, seeds: Iterable[int]) -> Any:
        """As ``sweep`` makes it."""
        import pandas

        rows = [{part.varied: value, "seed": seed, **row} for value in part.values for seed in seeds
                for row in self.find(part, value, seed) or []]
        frame = pandas.DataFrame(rows, columns=[part.varied, "seed", "method", *FIGURES, "note"])
        return frame.astype({name: float for name in FIGURES})


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def work_off(study: list[Part], seeds: list[int], results: Results, jobs: int,
             say: Callable[[str], Any] = lambda text: print(text, file=sys.stderr)) -> None:
    """Plans what there are no results of; one scenario a job, one thread each."""
    tasks = [(part, value, seed) for part in study for value in part.values for seed in seeds
             if results.find(part, value, seed) is None]
    begin = time.monotonic()

    def run(task: tuple[Part, Any, int]) -> list[dict[str, Any]]:
        part, value, seed = task
        try:
            scenario = part.make(seed=seed, **{part.varied: value})
        except Error as error:
            return [{"method": name, "note": str(error)} for name in part.methods]
        return compare(scenario, part.methods, seed=seed, jobs=1).table()

    with workers(jobs) as pool:
        for i, (task, made) in enumerate(zip(tasks, pool.map(run, tasks)), 1):
            results.add(*task, made)
            say(f"[{time.monotonic() - begin:7.1f} s] {i} of {len(tasks)}: {task[0].name}, {task[0].varied} = "
                f"{task[1]}, seed {task[2]}")


def _draw(study: list[Part], seeds: list[int], results: Results, out: str, kinds: Iterable[str]) -> list[str]:
    """A figure for every part and figure; returns captions."""
    captions = []
    for part in study:
        frame = results.frame(part, seeds)
        for figure in part.figures:
            ax = plot.sweep(frame, part.varied, figure, label=part.label)
            if part.varied not in ("users", "servers", "candidates") or figure == "elapsed_s":
                ax.set_xscale("log")
                ax.set_xticks(part.values, [f"{value:g}" for value in part.values])
                ax.minorticks_off()
            if figure == "elapsed_s":
                ax.set_yscale("log")
            name = f"{part.name}-{figure.removesuffix('_s').removesuffix('_j').replace('_', '-')}"
            for kind in kinds:
                plot.save(ax, os.path.join(out, f"{name}.{kind}"))
            what = plot._LABELS[figure]
            captions.append(f"**{name}**: {what[0].upper()}{what[1:]} over {part.label}: means over {len(seeds)} seeds with "
                            f"95 % intervals; {part.constants}; all else as docs/study.md has it.")
    return captions


def _convergence(out: str, kinds: Iterable[str]) -> list[str]:
    """DASHF beside prices on one scenario, over iterations and time, and how the plan looks."""
    scenario = Scenario.study(*SHOWN, seed=1)
    plans = {name: solve(scenario, name, threads=1) for name in ("prices", "dashf")}
    drawn = {"convergence-iterations": plot.convergence(plans), "convergence-time": plot.convergence(plans, over="time"),
             "map": plot.map(scenario, plans["dashf"]), "gantt": plot.gantt(plans["dashf"]),
             "delay-cdf": plot.cdf({**plans, "greedy": solve(scenario, "greedy")}),
             "splits": plot.splits(plans), "bandwidth-shares": plot.shares(plans["dashf"])}
    for name, ax in drawn.items():
        for kind in kinds:
            plot.save(ax, os.path.join(out, f"{name}.{kind}"))
    return [f"**{name}**: {SHOWN[0]} users, {SHOWN[1]} servers, total delay, seed 1." for name in drawn]


def difference(frame: Any, better: str, other: str) -> tuple[float, float, int]:
    """The relative difference of SCR on the same scenario: each seed's mean over the values; the mean of these, half its
    95 % interval, and how many seeds there are. A seed's scenarios are much alike, so that they count as one."""
    wide = frame.pivot_table(index=[c for c in frame.columns[:2]], columns="method", values="scr")
    if better not in wide or other not in wide:
        return float("nan"), float("nan"), 0
    pairs = wide[[better, other]].dropna()
    relative = (pairs[better] / pairs[other] - 1.0).groupby(level="seed").mean().to_list()
    if not relative:
        return float("nan"), float("nan"), 0
    mean, half = _core.mean_interval(relative, 0.95)
    return mean, half, len(relative)


def _verdict(mean: float, half: float) -> str:
    if mean - half > 0.0:
        return "yes"
    return "no" if mean + half < 0.0 else "not shown"


def claims(study: list[Part], seeds: list[int], results: Results) -> str:
    """What the abstract of arXiv:2310.17872 claims of DASHF, "higher SCR" and "faster convergence", against what was found."""
    lines = ["## Is DASHF's SCR higher than the baselines'?", "",
             "The relative difference of SCR on the same scenario, each seed's mean over the part's values; with the 95 % "
             "interval of its mean over the seeds.",
             "", "| part | against | DASHF's SCR is higher by | seeds | higher? |", "|---|---|---|---|---|"]
    for part in study:
        frame = results.frame(part, seeds)
        if "dashf" not in part.methods:
            continue
        for other in (m for m in part.methods if m != "dashf" and not m.startswith("dashf-")):
            mean, half, count = difference(frame, "dashf", other)
            if count:
                lines.append(f"| {part.name} | {other} | {100 * mean:+.2f} % +- {100 * half:.2f} % | {count} | "
                             f"{_verdict(mean, half)} |")
    lines += ["", "## Does DASHF converge faster?", ""]
    size = next((part for part in study if part.name == "size"), None)
    if size is None:
        lines.append("Not looked at: the part `size` was left out by `--parts`.")
    else:
        lines += ["Run time of a plan on one thread, s, means over seeds, by users, and the share of the best SCR that it "
                  "has.", ""]
        frame = results.frame(size, seeds)
        lines += ["| users | " + " | ".join(size.methods) + " |", "|---|" + "---|" * len(size.methods)]
        for users in size.values:
            cells = []
            for method in size.methods:
                rows = frame[(frame[size.varied] == users) & (frame.method == method)]
                cells.append(f"{rows.elapsed_s.mean():.3f} s, {rows.percent_of_best.mean():.2f} %")
            lines.append(f"| {users} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _failures(study: list[Part], seeds: list[int], results: Results) -> str:
    lines = []
    for part in study:
        frame = results.frame(part, seeds)
        for (method, note), rows in frame[frame.scr.isna()].groupby(["method", "note"]):
            lines.append(f"- {part.name}: {method} gave no plan in {len(rows)} scenarios, the first time because: {note}")
    return "\n".join(lines) or "Every method gave a plan of every scenario."


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashf.paper", description=__doc__.split("\n\n")[0])
    names = [part.name for part in parts()]
    parser.add_argument("--out", required=True, help="folder; what it has of this study is not done again")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 1 to this number for every value [20]")
    parser.add_argument("--parts", nargs="+", choices=names, default=names, metavar="PART",
                        help=f"of {', '.join(names)} [all]")
    parser.add_argument("--kinds", nargs="+", choices=("pdf", "pgf", "svg", "png"), default=["pdf"],
                        help="files of every figure [pdf]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1,
                        help="scenarios planned at once [the cores]; 1 gives the fairest run times")
    arguments = parser.parse_args(words)
    if arguments.seeds < 1 or arguments.jobs < 1:
        parser.error("--seeds and --jobs must be at least 1")
    try:
        os.makedirs(arguments.out, exist_ok=True)
    except OSError as error:
        parser.error(f"--out: {error}")
    study = [part for part in parts() if part.name in arguments.parts]
    seeds = list(range(1, arguments.seeds + 1))
    results = Results(os.path.join(arguments.out, "results.jsonl"))
    work_off(study, seeds, results, arguments.jobs)
    captions = _draw(study, seeds, results, arguments.out, arguments.kinds)
    captions += _convergence(arguments.out, arguments.kinds)
    missing = ", ".join(name for name in names if name not in arguments.parts)
    page = "\n".join([
        "# What a study of DASHF found", "",
        f"Made by `python -m dashf.paper --seeds {arguments.seeds}` with dashf {_core.version}: the default study of "
        "docs/study.md, varied part by part" + (f", but for these parts: {missing}." if missing else "."), "",
        claims(study, seeds, results), "", "## Scenarios without a plan", "",
        _failures(study, seeds, results), "", "## Captions", "", *(f"- {caption}" for caption in captions), ""])
    write_text(os.path.join(arguments.out, "claims.md"), page)
    print(os.path.join(arguments.out, "claims.md"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
