"""The environment for agents."""
import copy
import pickle
import warnings

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

import dashf  # noqa: E402
import dashf.gym  # noqa: E402


def rollout(environment, steps, seed):
    observation, _ = environment.reset(seed=seed)
    environment.action_space.seed(seed)
    rows = [observation]
    for _ in range(steps):
        observation, reward, ended, truncated, info = environment.step(environment.action_space.sample())
        rows.append((observation, reward, ended, truncated, info))
    return rows


@pytest.mark.parametrize("settings", [
    {}, {"users": 3, "servers": 1}, {"resources": "best", "users": 3}, {"resources": "action", "users": 4},
    {"reward": "cost", "handover_penalty": 10.0}, {"delay": "makespan", "users": 4}, {"speed_m_per_s": (0, 0), "fading": False},
    {"candidates": 2, "servers": 4, "users": 6}, {"channel": "free-space", "users": 2},
])
def test_gymnasiums_checker_finds_nothing(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        environment = gymnasium.make("dashf/Planning-v0", **settings)
        check_env(environment.unwrapped, skip_render_check=True)


def test_a_scenario_without_places_is_for_users_who_stay(arrays):
    scenario = dashf.Scenario.from_arrays(**arrays)
    for settings in ({}, {"speed_m_per_s": (0, 0), "render_mode": "rgb_array"}):
        with pytest.raises(dashf.UsageError, match="^scenario: must have user_position_m"):
            dashf.gym.PlanningEnv(scenario, **settings)
    environment = dashf.gym.PlanningEnv(scenario, speed_m_per_s=(0, 0), fading=False)
    environment.reset(seed=1)
    np.testing.assert_array_equal(environment.scenario.gain, scenario.gain)


def test_the_seed_alone_decides_an_episode():
    first, again, other = (rollout(dashf.gym.PlanningEnv(), 20, seed) for seed in (3, 3, 4))
    assert [row[1] for row in first[1:]] == [row[1] for row in again[1:]] != [row[1] for row in other[1:]]
    for mine, its in zip(first[1:], again[1:]):
        np.testing.assert_array_equal(mine[0]["gain"], its[0]["gain"])


def test_what_is_observed_and_paid_is_the_evaluators():
    environment = dashf.gym.PlanningEnv(users=6, servers=3)
    environment.reset(seed=1)
    for _ in range(10):
        scenario = environment.scenario
        action = environment.action_space.sample()
        before = environment._server.copy()
        _, reward, _, _, info = environment.step(action)
        plan = dashf.Plan.from_arrays(scenario, environment._server, environment._last.local_layers, resources="equal")
        assert plan.feasible and plan.scr == info["scr"] == reward
        assert info["handovers"] == (0 if before[0] < 0 else np.sum(before != environment._server))
        assert (info["repaired"] == 0) or not np.array_equal(
            action, np.concatenate([environment._server, environment._last.local_layers]))


def test_no_action_beats_the_optimum_and_its_plan_has_no_regret():
    """A plan by the planner, fed back as an action with the best resources, regrets nothing."""
    for penalty in (0.0, 0.05):
        environment = dashf.gym.PlanningEnv(users=5, servers=2, regret=True, resources="best", handover_penalty=penalty)
        environment.reset(seed=2)
        for step in range(6):
            if step % 2:
                action = environment.action_space.sample()
            else:
                start = {"start": dashf.Plan._of(environment.scenario, environment._last)} if step else {}
                plan = dashf.solve(environment.scenario, **start, handover_penalty=penalty if step else 0.0)
                action = np.concatenate([plan.server, plan.local_layers])
            _, reward, _, _, info = environment.step(action)
            assert reward <= info["optimum"] <= info["optimum_upper"] * (1 + 1e-9)
            assert info["regret"] == pytest.approx(info["optimum"] - reward, abs=1e-12)
            if step % 2 == 0:
                assert info["regret"] <= 2e-3 * info["optimum"], (step, penalty)


def test_choices_that_no_plan_can_have_are_repaired():
    base = dashf.Scenario.study(6, 2, seed=1)
    gain = np.array(base.gain)
    gain[0, 1] = 0.0
    scenario = base.replace(gain=gain, server_slots=[3, 3])
    environment = dashf.gym.PlanningEnv(scenario, speed_m_per_s=(0, 0), fading=False)
    environment.reset(seed=1)
    top = environment._layers
    _, reward, _, _, info = environment.step(np.concatenate([np.ones(6, int), top]))
    assert reward > 0 and info["repaired"] >= 3
    assert np.bincount(environment._server).tolist() == [3, 3] and environment._server[0] == 0
    assert np.all(environment._last.local_layers < top)  # k = L is not allowed in the study.
    mask = environment.action_masks()
    assert mask.shape == (environment.action_space.nvec.sum(),) and not mask[1] and mask[0]
    for wrong in (np.zeros(5), np.full(12, 99), np.full(12, -1)):
        with pytest.raises(dashf.UsageError):
            environment.step(wrong)


def test_users_move_at_their_pace_and_stay_within_the_places():
    environment = dashf.gym.PlanningEnv(users=20, servers=3, speed_m_per_s=(1.0, 2.0), step_s=5.0)
    environment.reset(seed=5)
    for _ in range(60):
        before = environment._places
        environment.step(environment.action_space.sample())
        moved = np.linalg.norm(environment._places - before, axis=1)
        assert np.all(moved <= 10.0 * (1 + 1e-9)) and moved.max() > 0
        assert np.all((environment._places >= environment._low) & (environment._places <= environment._high))
    np.testing.assert_array_equal(environment.scenario.user_position_m, environment._places)
    still = dashf.gym.PlanningEnv(dashf.Scenario.study(seed=1), fading=False, speed_m_per_s=(0, 0))
    still.reset(seed=1)
    still.step(still.action_space.sample())
    np.testing.assert_array_equal(still.scenario.gain, dashf.Scenario.study(seed=1).gain)


def test_gains_without_fading_are_the_generators():
    scenario = dashf.Scenario.study(seed=4, fading=False)
    environment = dashf.gym.PlanningEnv(scenario, fading=False)
    environment.reset(seed=1)
    np.testing.assert_allclose(environment.scenario.gain, scenario.gain, rtol=1e-12)


def test_environments_run_beside_each_other():
    together = gymnasium.make_vec("dashf/Planning-v0", num_envs=3, vectorization_mode="sync", users=4)
    observation, _ = together.reset(seed=[1, 2, 3])
    assert observation["gain"].shape == (3, 4, 2)
    alone = dashf.gym.PlanningEnv(users=4)
    first, _ = alone.reset(seed=2)
    np.testing.assert_array_equal(observation["gain"][1], first["gain"])
    _, rewards, *_ = together.step(together.action_space.sample())
    assert rewards.shape == (3,) and np.all(rewards > 0)


def test_pettingzoo_finds_nothing_either():
    pettingzoo = pytest.importorskip("pettingzoo.test")
    environment = dashf.gym.parallel_env(users=4, servers=2, episode_steps=5)
    pettingzoo.parallel_api_test(environment, num_cycles=30)
    single = dashf.gym.PlanningEnv(users=4, servers=2)
    single.reset(seed=7)
    environment.reset(seed=7)
    actions = {name: np.array([n % 2, 3]) for n, name in enumerate(environment.agents)}
    _, rewards, *_ = environment.step(actions)
    _, reward, *_ = single.step(np.array([0, 1, 0, 1, 3, 3, 3, 3]))
    assert set(rewards.values()) == {reward}


def test_a_plan_can_be_looked_at():
    pytest.importorskip("matplotlib")
    environment = gymnasium.make("dashf/Planning-v0", render_mode="rgb_array", users=4)
    environment.reset(seed=1)
    assert environment.unwrapped.plan is None
    before = environment.render()
    found = environment.unwrapped.scenario
    _, reward, *_ = environment.step(environment.action_space.sample())
    after = environment.render()
    assert before.dtype == after.dtype == np.uint8 and before.shape == after.shape == (*before.shape[:2], 3)
    assert not np.array_equal(before, after)
    assert environment.unwrapped.plan.scr == reward and environment.unwrapped.plan.scenario == found
    assert dashf.gym.PlanningEnv(users=4).render() is None


@pytest.mark.parametrize(("settings", "place"), [
    ({"users": 0}, "users"), ({"channel": "3gpp-38.901-uma"}, "channel"), ({"resources": "some"}, "resources"),
    ({"speed_m_per_s": (2, 1)}, "speed_m_per_s"), ({"reward": "cost", "regret": True}, "regret"),
    ({"scenario": 3}, "scenario"), ({"render_mode": "human"}, "render_mode"), ({"handover_penalty": -1}, "handover_penalty"), ({"episode_steps": 0}, "episode_steps"),
    ({"bandwith_hz": 1}, "bandwith_hz"),
])
def test_settings_out_of_range_are_named(settings, place):
    with pytest.raises(dashf.UsageError) as caught:
        dashf.gym.PlanningEnv(**settings)
    assert caught.value.where == place


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_goes_on_as_the_first_does(copied):
    first = dashf.gym.PlanningEnv(users=4, servers=2, handover_penalty=0.01, regret=True)
    fresh = copied(first)
    first.reset(seed=3)
    fresh.reset(seed=3)
    choice = np.zeros(8, int)
    first.step(choice)
    fresh.step(choice)
    second = copied(first)
    assert second.plan.scr == first.plan.scr == fresh.plan.scr
    for _ in range(3):
        (seen, reward, *_), (also_seen, also_reward, *_) = first.step(choice), second.step(choice)
        assert reward == also_reward
        assert all(np.array_equal(seen[key], also_seen[key]) for key in seen)


@pytest.mark.parametrize("action", [np.full(8, 0.7), np.full(8, -0.5), np.full(8, np.nan), np.zeros(8, complex),
                                    ["a"] * 8, np.zeros(7, int), np.full(8, 99), None])
def test_actions_that_are_none_are_refused(action):
    environment = dashf.gym.PlanningEnv(users=4, servers=2)
    environment.reset(seed=1)
    with pytest.raises(dashf.Error, match="^action"):
        environment.step(action)
    given = dashf.gym.PlanningEnv(users=4, servers=2, resources="action")
    given.reset(seed=1)
    with pytest.raises(dashf.UsageError, match="must be a dict with choice and amounts"):
        given.step({"choice": np.zeros(8, int)})


def test_a_step_needs_a_reset_before_it():
    with pytest.raises(gymnasium.error.ResetNeeded):
        dashf.gym.PlanningEnv(users=4, servers=2).step(np.zeros(8, int))
