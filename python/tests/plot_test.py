"""Figures: what they show is what the plan says."""
import shutil

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pandas = pytest.importorskip("pandas")

import dashf  # noqa: E402
import dashf.plot  # noqa: E402


@pytest.fixture(scope="module")
def plans():
    scenario = dashf.Scenario.study(8, 3, seed=2)
    return {name: dashf.solve(scenario, name) for name in ("prices", "dashf", "greedy")}


def test_a_map_leads_each_user_to_its_server(plans):
    plan = plans["prices"]
    ax = dashf.plot.map(plan.scenario, plan)
    lines = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) == 2 and line.get_marker() == "None"]
    wanted = [(plan.scenario.user_position_m[n], plan.scenario.server_position_m[m]) for n, m in enumerate(plan.server)]
    assert len(lines) == 8
    for user, server in wanted:
        assert any(np.allclose(line, [user, server]) for line in lines)
    assert dashf.plot.map(plan.scenario).lines


def test_without_places_there_is_no_map(arrays):
    scenario = dashf.Scenario.from_arrays(**arrays)
    plan = dashf.solve(scenario, "greedy")
    with pytest.raises(dashf.UsageError, match=r"^scenario: must have places for a map.* got all at \(0.0, 0.0\) m"):
        dashf.plot.map(scenario, plan)
    for shown in (scenario._repr_html_(), plan._repr_html_()):
        assert "No map" in shown and "<svg" not in shown and " m<" not in shown
    assert "<td>u3</td>" in plan._repr_html_()
    placed = dashf.Scenario.from_arrays(**arrays, user_position_m=np.arange(8.0).reshape(4, 2))
    assert "<svg" in placed._repr_html_() and dashf.plot.map(placed).lines


def test_convergence_ends_at_the_plan_below_its_bound(plans):
    ax = dashf.plot.convergence(plans, over="time")
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(plans["prices"].scr)
    assert ax.lines[1].get_ydata()[0] == plans["prices"].scr_upper
    assert ax.get_xlabel() == "time (s)" and len(ax.get_legend().get_texts()) == 4
    assert dashf.plot.convergence(plans["dashf"]).get_xlabel() == "iteration"


def test_a_sweeps_curves_are_its_means():
    frame = dashf.sweep({"users": [3, 5]}, seeds=[1, 2, 3], methods=["prices", "greedy"])
    ax = dashf.plot.sweep(frame, "users")
    means = frame.groupby(["method", "users"], sort=False).scr.mean()
    for container in ax.containers:
        x, y = container.lines[0].get_data()
        np.testing.assert_allclose(np.asarray(y, float), [float(means.loc[(container.get_label(), users)]) for users in x])
    with pytest.raises(dashf.UsageError, match="bandwidth_hz"):
        dashf.plot.sweep(dashf.sweep({"users": [3], "bandwidth_hz": [1e6, 2e6]}, seeds=[1], methods=["greedy"]), "users")
    with pytest.raises(dashf.UsageError, match="x"):
        dashf.plot.sweep(frame, "servers")


def test_cdfs_gantt_charts_shares_and_splits_have_everyone(plans):
    ax = dashf.plot.cdf(plans, "energy")
    x, y = ax.lines[0].get_data()
    assert y[-1] == 1 and x[-1] == pytest.approx(plans["prices"].user_energy_j.sum(axis=1).max())
    plan = plans["prices"]
    ax = dashf.plot.gantt(plan)
    assert len(ax.patches) == 8 * 4
    ends = max(bar.get_x() + bar.get_width() for bar in ax.patches)
    assert ends == pytest.approx(plan.user_delay_s.sum(axis=1).max())
    late = dashf.solve(plan.scenario.replace(delay="makespan"))
    ends = max(bar.get_x() + bar.get_width() for bar in dashf.plot.gantt(late).patches)
    assert ends == pytest.approx(late.delay_s)
    for resource in ("bandwidth", "power", "clock"):
        assert all(bar.get_y() + bar.get_height() <= 1 + 1e-9 for bar in dashf.plot.shares(plan, resource).patches)
    assert sum(bar.get_height() for bar in dashf.plot.splits(plan).patches) == 8


def test_neighbours_in_a_servers_shares_have_different_colours():
    scenario = dashf.Scenario.study(20, 2, seed=1)
    server = np.array([0 if n % 8 < 2 else 1 for n in range(20)])  # Of users 8 apart, among others.
    bars = dashf.plot.shares(dashf.Plan.from_arrays(scenario, server, [0] * 20)).patches
    for m in (0, 1):
        stack = [bar.get_facecolor() for bar, at in zip(bars, server) if at == m]
        assert all(one != other for one, other in zip(stack, stack[1:]))


@pytest.mark.parametrize("kind", ["pdf", "svg", "png", "pgf"])
def test_figures_are_a_column_wide_and_written_by_their_names(plans, tmp_path, kind):
    if kind == "pgf" and not shutil.which("xelatex"):
        pytest.skip("no LaTeX")
    ax = dashf.plot.cdf(plans)
    assert ax.figure.get_size_inches()[0] == 3.5
    assert dashf.plot.axes(2).figure.get_size_inches()[0] == 7.16
    dashf.plot.save(ax, tmp_path / f"f.{kind}")
    dashf.plot.save(ax, tmp_path / f"again.{kind}")
    assert (tmp_path / f"f.{kind}").read_bytes() == (tmp_path / f"again.{kind}").read_bytes() != b""
    with pytest.raises(dashf.IoError):
        dashf.plot.save(ax, tmp_path / "none" / f"f.{kind}")
    with pytest.raises(dashf.UsageError):
        dashf.plot.save(ax, tmp_path / "f.doc")


@pytest.mark.parametrize("name", [r"$\frac$", "cost $5 to $6", "_hidden", "50% & #1", "{x}"])
def test_names_are_drawn_as_they_stand(plans, tmp_path, name):
    plan = next(iter(plans.values()))
    ax = dashf.plot.cdf({name: plan, "other": plan})
    drawn = [text.get_text().replace(r"\$", "$").strip() for text in ax.get_legend().get_texts()]
    assert drawn == [name, "other"]
    dashf.plot.save(ax, tmp_path / "names.pdf")


def test_a_sweep_over_what_is_no_number_has_a_place_for_each_value():
    frame = dashf.sweep({"candidates": [None, 1]}, seeds=[1, 2], methods=["greedy"], users=4, servers=2)
    ax = dashf.plot.sweep(frame, "candidates")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["none", "1"]
    drawn = ax.lines[0].get_ydata(orig=False)
    assert len(drawn) == 2 and np.all(np.isfinite(drawn))
