"""Scenarios: arrays in and out, and what is refused."""
import copy
import os
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dashf
from conftest import own_arrays


def test_arrays_come_out_as_they_went_in(arrays):
    scenario = dashf.Scenario.from_arrays(**arrays)
    np.testing.assert_array_equal(scenario.gain, arrays["gain"])
    np.testing.assert_array_equal(scenario.user_clock_hz_max, arrays["user_clock_hz_max"])
    np.testing.assert_array_equal(scenario.server_bandwidth_hz, [20e6, 20e6])
    np.testing.assert_array_equal(scenario.server_slots, [-1, -1])
    np.testing.assert_array_equal(scenario.profiles[0].server_flop, arrays["server_flop"])
    assert scenario.user_ids == ["u0", "u1", "u2", "u3"]
    assert scenario.delay == "sum" and scenario.objective["all_local_allowed"] is True


def test_views_are_read_only_and_outlive_their_scenario(arrays):
    scenario = dashf.Scenario.from_arrays(**arrays)
    clocks = scenario.user_clock_hz_max
    with pytest.raises(ValueError, match="read-only"):
        clocks[0] = 1.0
    del scenario
    np.testing.assert_array_equal(clocks, arrays["user_clock_hz_max"])


def test_arrays_of_any_stride_and_type_are_read_where_they_lie(arrays):
    plain = dashf.Scenario.from_arrays(**arrays)
    gain = np.zeros((2, 8))
    gain[:, ::2] = arrays["gain"].T
    strided = dashf.Scenario.from_arrays(**{**arrays, "gain": gain[:, ::2].T})
    backwards = arrays["user_clock_hz_max"][::-1].copy()[::-1]
    assert strided == plain
    assert dashf.Scenario.from_arrays(**{**arrays, "user_clock_hz_max": backwards}) == plain
    big_endian = arrays["gain"].astype(">f8")
    assert dashf.Scenario.from_arrays(**{**arrays, "gain": big_endian}) == plain
    packed = np.zeros(4, dtype=[("id", "u1"), ("clock", "f8"), ("layers", "i8")])
    packed["clock"] = arrays["user_clock_hz_max"]
    assert dashf.Scenario.from_arrays(**{**arrays, "user_clock_hz_max": packed["clock"]}) == plain
    plan = dashf.Plan.from_arrays(plain, packed["layers"], packed["layers"])
    assert plan.local_layers.tolist() == [0] * 4
    integers = dashf.Scenario.from_arrays(**{**arrays, "server_tx_power_w_max": np.array([10, 10], np.uint8)})
    assert integers == plain


def test_gains_may_be_decibels_links_or_sparse(arrays):
    gain = arrays["gain"].copy()
    gain[0, 1] = -0.0  # No link.
    plain = dashf.Scenario.from_arrays(**{**arrays, "gain": gain})
    user, server, value = plain.links
    assert len(value) == 7 and (user[0], server[0]) == (0, 0)
    del arrays["gain"]
    assert dashf.Scenario.from_arrays(**arrays, users=4, servers=2, links=(user[::-1], server[::-1], value[::-1])) == plain
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(gain)
    np.testing.assert_allclose(dashf.Scenario.from_arrays(**arrays, gain_db=decibels).gain, gain, rtol=1e-12)
    sparse = pytest.importorskip("scipy.sparse")
    assert dashf.Scenario.from_arrays(sparse.csr_matrix(gain), **arrays) == plain
    with pytest.raises(dashf.BadInputError, match="gain: must be an array of real numbers, got dtype complex128"):
        dashf.Scenario.from_arrays(sparse.csr_matrix(gain + 1j), **arrays)


def test_a_changed_copy_leaves_the_first_as_it_is(study):
    before = study.to_json()
    changed = study.replace(server_bandwidth_hz=[1e6, 2e6], delay="makespan", name="changed", score_gain=2.0)
    np.testing.assert_array_equal(changed.server_bandwidth_hz, [1e6, 2e6])
    assert changed.delay == "makespan" and changed.objective["score_gain"] == 2.0 and changed.name == "changed"
    assert study.to_json() == before
    back = changed.replace(server_bandwidth_hz=study.server_bandwidth_hz, delay="sum", name=study.name,
                           score_gain=study.objective["score_gain"])
    assert back == study


def test_profiles_of_different_depth_stand_beside_each_other(arrays):
    shallow = dashf.SplitProfile("two", *(np.array(c, float) for c in ([0, 1e12, 2e12], [2e12, 1e12, 0], [1e8, 1e8, 0],
                                                                       [1e7, 1e7, 0], [1e9, 2e9, 3e9])))
    columns = ("local_flop", "server_flop", "upload_bit", "download_bit", "local_memory_bytes")
    deep = dashf.SplitProfile("three", *(arrays.pop(c) for c in columns))
    scenario = dashf.Scenario.from_arrays(**arrays, profiles=[shallow, deep, shallow.__class__("again", *(
        getattr(shallow, c) for c in columns))], user_profile=[0, 1, 2, 1])
    # Names are in order: what "again" means.
    assert [p.layers for p in scenario.profiles] == [2, 3, 2]
    assert np.isnan(scenario.profile_table("local_flop")[0, 3])
    assert [scenario.profiles[i].name for i in scenario.user_profile] == ["two", "three", "again", "three"]
    assert dashf.solve(scenario).feasible


def test_files_text_pickles_and_copies_keep_every_bit(study, tmp_path):
    study.save(tmp_path / "s.json")
    loaded = dashf.Scenario.load(tmp_path / "s.json")
    assert loaded == study and loaded.sha256 == study.sha256
    assert dashf.Scenario.from_json(study.to_json()) == study
    for again in (pickle.loads(pickle.dumps(study)), copy.deepcopy(study), copy.copy(study)):
        assert again == study and again.sha256 == study.sha256
    spaced = dashf.Scenario.from_json(study.to_json() + " ")
    assert spaced == study and spaced.sha256 != study.sha256
    assert pickle.loads(pickle.dumps(spaced)).sha256 == spaced.sha256


def test_the_study_has_families_channels_and_places(tmp_path):
    names = set()
    for family in dashf.families():
        scenario = dashf.Scenario.study(6, 2, family=family, seed=3)
        assert scenario.users == 6
        names.add(scenario.sha256)
    assert len(names) == len(dashf.families())
    for channel in dashf.channels():
        assert dashf.Scenario.study(channel=channel).users == 10
    sites, users = [[0, 0], [300, 0]], np.array([[10.0, 5], [290, 1], [150, 80]])
    placed = dashf.Scenario.at_places(sites, users, seed=4)
    np.testing.assert_array_equal(placed.user_position_m, users)
    (tmp_path / "sites.csv").write_text("x_m,y_m\n0,0\n300,0\n")
    (tmp_path / "users.csv").write_text("x_m,y_m,colour\n10,5,red\n290,1,blue\n150,80,red\n")
    with pytest.warns(UserWarning, match="colour"):
        from_files = dashf.Scenario.at_places(tmp_path / "sites.csv", tmp_path / "users.csv", seed=4)
    assert from_files.users == 3 and from_files.servers == 2
    assert dashf.Scenario.study(gain=np.full((10, 2), 1e-9)).gain.max() == 1e-9


@pytest.mark.parametrize(("change", "place", "rule", "value"), [
    ({"user_tx_power_w_max": [0.2, -1, 0.2, 0.2]}, "users[1].tx_power_w_max", "must be a number > 0", "-1"),
    ({"user_tx_power_w_max": [0.2, np.nan, 0.2, 0.2]}, "users[1].tx_power_w_max", "must be a number > 0", "nan"),
    ({"user_tx_power_w_max": [0.2, 0.2]}, "user_tx_power_w_max", "must have shape (users,) = (4,)", "(2,)"),
    ({"user_clock_hz_max": ["1e9"] * 4}, "user_clock_hz_max", "must be an array of real numbers", "dtype <U3"),
    ({"user_clock_hz_max": [True] * 4}, "user_clock_hz_max", "must be an array of real numbers", "dtype bool"),
    ({"user_clock_hz_max": 1e9 + 1j}, "user_clock_hz_max", "must be an array of real numbers", "dtype complex128"),
    ({"server_bandwidth_hz": np.inf}, "servers[0].bandwidth_hz", "must be a number > 0", "inf"),
    ({"server_slots": [1.5, 2]}, "server_slots[0]", "must be a whole number", "1.5"),
    ({"server_slots": [-2, 2]}, "servers[0].slots", "must be >= 0, or -1 for no limit", "-2"),
    ({"gain": np.full((4, 2), -90.0)}, "gain of users[0] at servers[0]", "must be a number > 0, or 0 where there is no link",
     "-90.0"),
    ({"gain": np.full((4, 2), np.nan)}, "gain of users[0] at servers[0]", "must be a number > 0, or 0 where there is no link",
     "nan"),
    ({"gain": np.ones(4)}, "gain", "must have two dimensions", "shape (4,)"),
    ({"gain": [[1, 2], [3]]}, "gain", "must be an array of numbers", None),
    ({"gain": np.zeros((0, 2))}, "gain", "must have at least one user and one server", "shape (0, 2)"),
    ({"local_flop": [1.0, 2, 3, 4]}, "profiles.p0.local_flop[0]", "must be 0 (k = 0: the user trains nothing)", "1"),
    ({"local_flop": [0.0, 2, 3]}, "local_flop", "must have shape (profiles, L + 1) = (1, 4)", "(1, 3)"),
    ({"user_profile": [0, 0, 0, 7]}, "users[3].profile", "must be one of 1 profiles", None),
    ({"user_ids": ["a", "a", "b", "c"]}, "users[1].id", "must be unique", None),
    ({"user_ids": "abcd"}, "user_ids", "must be users strings", "'abcd'"),
    ({"noise_density_w_per_hz": 0}, "noise_density_w_per_hz", "must be a finite number > 0", "0"),
    ({"user_ids": ["a", "\ud800", "b", "c"]}, "user_ids[1]", "must be UTF-8", r"'\ud800'"),
    ({"name": "\ud800"}, "name[0]", "must be UTF-8", None),
    ({"delay": "max"}, "delay", "must be one of sum, makespan", None),
    ({"all_local_allowed": 1}, "all_local_allowed", "must be True or False", "1"),
    ({"server_bandwith_hz": 1}, "server_bandwith_hz", "is no such keyword: do you mean server_bandwidth_hz?", ""),
    ({"user_position_m": np.zeros((4, 3))}, "user_position_m", "must have shape (users, 2) = (4, 2)", "(4, 3)"),
])
def test_an_error_keeps_place_rule_and_value(arrays, change, place, rule, value):
    with pytest.raises(ValueError) as caught:
        dashf.Scenario.from_arrays(**{**arrays, **change})
    error = caught.value
    assert isinstance(error, dashf.Error)
    assert (error.where, error.rule) == (place, rule)
    if value is not None:
        assert error.value == value
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.where, again.value) == (str(error), error.where, error.value)


def test_files_that_are_not_there_or_no_scenarios_are_named(tmp_path):
    with pytest.raises(OSError) as caught:
        dashf.Scenario.load(tmp_path / "none.json")
    assert isinstance(caught.value, dashf.IoError) and caught.value.exit_code == 10
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    (tmp_path / "bad.json").write_text('{"schema": "dashf.scenario/1", "name": 3}')
    with pytest.raises(dashf.BadInputError, match=r"bad\.json: .*name"):
        dashf.Scenario.load(tmp_path / "bad.json")
    with pytest.raises(dashf.IoError, match="cannot be written"):
        dashf.Scenario.study().save(tmp_path / "no" / "folder.json")
    with pytest.raises(dashf.UsageError, match="path: must be a path"):
        dashf.Scenario.load(3)
    dashf.Scenario.study().save(tmp_path / "x")
    with pytest.raises(dashf.UsageError, match="path: must have no NUL character"):
        dashf.Scenario.load(f"{tmp_path}/x\0y")
    for odd in "\udcff.json", b"\xff.json":
        with pytest.raises(dashf.BadInputError, match="path: must be UTF-8"):
            dashf.Scenario.load(odd)
    with pytest.raises(dashf.BadInputError, match="text: must be UTF-8"):
        dashf.Scenario.from_json("\ud800")


def test_links_lead_where_they_led_and_pipes_stay_pipes(study, tmp_path):
    (tmp_path / "link.json").symlink_to("real.json")
    study.save(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink() and dashf.Scenario.load(tmp_path / "real.json") == study
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    study.save(tmp_path / "pipe")
    reader.join()
    assert read == [study.to_json()] and (tmp_path / "pipe").is_fifo()


def test_a_scenario_without_a_plan_says_why(arrays):
    with pytest.raises(dashf.InfeasibleError, match="too few slots"):
        dashf.Scenario.from_arrays(**arrays, server_slots=1)
    made = dashf.Scenario.from_arrays(**arrays, server_slots=1, require_plan=False)
    assert any("2 more" in sentence or "slots" in sentence for sentence in made.conflicts())
    with pytest.raises(dashf.InfeasibleError):
        dashf.solve(made)
    with pytest.raises(dashf.InfeasibleError):
        dashf.Plan.from_arrays(made, [0, 0, 1, 1], [0, 0, 0, 0])
    assert pickle.loads(pickle.dumps(made)) == made
    assert dashf.Scenario.study().conflicts() == []


def test_numbers_that_look_like_another_unit_are_doubted(arrays):
    doubts = dashf.Scenario.from_arrays(**{**arrays, "gain": np.full((4, 2), 2.0)}).doubts()
    assert any("gain" in doubt for doubt in doubts)


# Whatever the arrays: a scenario or one of dashf's errors, and never anything else.
_ANY_ARRAY = st.one_of(
    hnp.arrays(
        dtype=st.sampled_from([np.float64, np.float32, np.int64, np.uint64, np.bool_, np.complex64, np.dtype(">f8")]),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
    st.sampled_from([None, "x", [], [[1], [1, 2]], {}, object(), -0.0, np.nan, np.inf, 10**400]),
)
_COLUMNS = sorted(set(own_arrays()) | {"user_position_m", "server_slots", "user_profile", "user_ids", "links", "gain_db",
                                       "score_gain", "delay_weight_per_s", "profiles", "server_energy_j_per_flop"})


@settings(max_examples=150)
@given(column=st.sampled_from(_COLUMNS), value=_ANY_ARRAY, backwards=st.booleans())
def test_no_array_does_worse_than_an_error(column, value, backwards):
    given_arrays = own_arrays()
    if column in ("gain_db", "links"):
        del given_arrays["gain"]
    if backwards and isinstance(value, np.ndarray) and value.ndim > 0:
        value = value[::-1]
    given_arrays[column] = value
    try:
        scenario = dashf.Scenario.from_arrays(**given_arrays)
    except dashf.Error as error:
        assert str(error)
        return
    assert scenario.users == 4
    try:
        assert dashf.solve(scenario, "greedy").feasible
    except (dashf.NumericalError, dashf.InfeasibleError):  # A clock of 1e162 Hz leaves floating point.
        pass


@settings(max_examples=60)
@given(gain=hnp.arrays(np.float64, (4, 2), elements=st.sampled_from([0.0, -0.0, 1e-9, 1e-300, 1e300, np.nan, np.inf, -1.0])))
def test_odd_gains_make_a_plan_or_an_error(gain):
    try:
        scenario = dashf.Scenario.from_arrays(**{**own_arrays(), "gain": gain})
    except dashf.Error:
        return
    assert np.all(gain >= 0) and np.all(np.isfinite(gain))
    try:
        assert dashf.solve(scenario, "greedy").feasible
    except (dashf.NumericalError, dashf.InfeasibleError):
        pass
