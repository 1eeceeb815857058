"""MATLAB's files."""
import numpy as np
import pytest

scipy_io = pytest.importorskip("scipy.io")

import dashf  # noqa: E402
import dashf.mat  # noqa: E402
from conftest import own_arrays  # noqa: E402


def test_scenarios_and_plans_come_back_with_every_bit(tmp_path):
    for scenario in (dashf.Scenario.study(6, 2, seed=3), dashf.Scenario.study(1, 1, delay="makespan"),
                     dashf.Scenario.from_arrays(**own_arrays())):
        plan = dashf.solve(scenario, "greedy")
        dashf.mat.save(tmp_path / "s.mat", scenario, plan)
        assert dashf.mat.load(tmp_path / "s.mat") == scenario
        again = dashf.mat.load_plan(tmp_path / "s.mat", scenario)
        assert (again.scr, again.method) == (plan.scr, "greedy")
        np.testing.assert_array_equal(again.server, plan.server)


def test_matlab_counts_from_one(tmp_path):
    scenario = dashf.Scenario.study(6, 2, seed=3)
    dashf.mat.save(tmp_path / "s.mat", scenario, dashf.solve(scenario, "greedy"))
    content = scipy_io.loadmat(tmp_path / "s.mat")
    assert content["user_profile"].min() == 1 and content["plan"]["server"][0, 0].min() >= 1
    assert content["gain"].shape == (6, 2)


def test_a_file_made_elsewhere_needs_only_what_from_arrays_needs(tmp_path):
    scipy_io.savemat(tmp_path / "own.mat", {**own_arrays(), "comment": "of another program"})
    assert dashf.mat.load(tmp_path / "own.mat") == dashf.Scenario.from_arrays(**own_arrays())
    scipy_io.savemat(tmp_path / "p.mat", {"plan": {"server": [1, 2, 1, 2], "local_layers": [0, 1, 2, 3]}})
    assert dashf.mat.load_plan(tmp_path / "p.mat", dashf.Scenario.from_arrays(**own_arrays())).feasible


@pytest.mark.parametrize(("change", "place"), [
    ({"gain": np.ones((3, 2))}, "user_clock_hz_max"), ({"local_flop": None}, "local_flop"),
    ({"noise_density_w_per_hz": [1.0, 2.0]}, "noise_density_w_per_hz"), ({"user_tx_power_w_max": None}, "user_tx_power_w_max"),
])
def test_what_is_wrong_is_named(tmp_path, change, place):
    content = {key: value for key, value in {**own_arrays(), **change}.items() if value is not None}
    scipy_io.savemat(tmp_path / "s.mat", content)
    with pytest.raises(dashf.BadInputError) as caught:
        dashf.mat.load(tmp_path / "s.mat")
    assert caught.value.where.endswith(place)


def test_files_that_are_no_mat_files_are_named(tmp_path):
    (tmp_path / "s.mat").write_text("gain = [1 2; 3 4]" * 20)
    with pytest.raises(dashf.BadInputError, match="s.mat"):
        dashf.mat.load(tmp_path / "s.mat")
    with pytest.raises(dashf.IoError):
        dashf.mat.load(tmp_path / "none.mat")
    with pytest.raises(dashf.IoError):
        dashf.mat.save(tmp_path / "no" / "s.mat", dashf.Scenario.study())
    dashf.mat.save(tmp_path / "t.mat", dashf.Scenario.study())
    with pytest.raises(dashf.BadInputError, match="plan"):
        dashf.mat.load_plan(tmp_path / "t.mat", dashf.Scenario.study())


def test_what_reads_and_writes_json_names_what_is_for_matlabs_files(tmp_path, study):
    plan = dashf.solve(study, "greedy")
    for call, name in ((lambda path: dashf.Scenario.load(path), "load"), (lambda path: study.save(path), "save"),
                       (lambda path: dashf.Plan.load(path, study), "load_plan"), (lambda path: plan.save(path), "save")):
        with pytest.raises(dashf.UsageError, match=rf"JSON: dashf\.mat\.{name} is for MATLAB's"):
            call(tmp_path / "s.mat")
    assert not list(tmp_path.iterdir())
