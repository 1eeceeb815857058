"""An environment for agents: association and splits in a network whose users move, with the true optimum as yardstick.

    import gymnasium, dashf.gym
    environment = gymnasium.make("dashf/Planning-v0", users=10, servers=2)

Needs gymnasium; ``parallel_env`` needs pettingzoo, too. See docs/python.md.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from . import _core, checks
from .errors import InfeasibleError, UsageError
from .pictures import has_places
from .plan import RESOURCES, Plan
from .planning import solve
from .scenario import Scenario

__all__ = ["PlanningEnv", "parallel_env"]

_FADE_MIN = 1e-6  # Of a Rayleigh draw: 0 would cut the link (src/scenario/link_drawing.cc).
_CHANNELS = ("3gpp-36.814", "free-space")  # Gains by distance alone.


class PlanningEnv(gymnasium.Env):
    """Each step associates every user and chooses its split; then users move and the channel fades anew.

    ``scenario`` is where every episode begins; it needs positions where users move. Without one an episode draws a
    default study of ``users`` and ``servers`` with the other keywords of ``Scenario.study``. ``speed_m_per_s`` (low, high) and ``step_s`` move users by
    the random waypoint model (Johnson and Maltz, 1996) in the rectangle around the places; 0 and 0: nobody moves.
    ``fading`` draws a Rayleigh gain for every link and step on top of the path's, by ``channel`` ("3gpp-36.814" or
    "free-space"); if nobody moves, on top of the scenario's own gains. ``episode_steps`` end an episode (truncated).

    Actions are MultiDiscrete: the server of each user, then the split of each user. With ``resources`` "equal" or
    "best" (the convex step: slower) the rest follows; with "action" the action is a dict with ``choice`` and ``amounts``
    (users, 5) in [0, 1]: shares of the own clock and power, and weights by which a server's bandwidth, power and clock
    are shared out among its users. A choice that no plan can have is repaired, and counted in ``info["repaired"]``:
    splits to the nearest allowed one, servers out of reach to the strongest, users beyond the slots, those of the weakest
    links first, to the strongest server with a free one.

    Observations are a dict of float32: ``gain`` (users, servers), (10 log10 g + 100) / 30, -10 without a link; ``server``
    (users, servers), one-hot, where each user was (0 at first); ``load`` (servers,), their shares of the users;
    ``profile`` (users, 4): log10 of the whole work in s on the own device / 5, of the upload in bit at k = 0 / 10, of the
    memory in bytes / 10, and the share of splits that are allowed.

    The reward is (score - handover_penalty handovers) / cost with ``reward`` "scr", which is what ``solve(start=,
    handover_penalty=)`` maximises, or -(cost + handover_penalty handovers) with "cost". A handover is a user who leaves
    its server.

    ``info`` has ``scr``, ``cost``, ``delay_s``, ``energy_j``, ``handovers``, ``repaired``; with ``regret`` also ``optimum``,
    the best reward that was found for this step, ``optimum_upper``, a proven bound on any plan's SCR and so on any
    "scr" reward, and ``regret``, optimum - reward: the true one lies between it and optimum_upper - reward.

    ``render_mode`` "rgb_array" draws the last plan's map (needs matplotlib).
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(self, scenario: Scenario | None = None, *, users: int = 10, servers: int = 2,
                 speed_m_per_s: tuple[float, float] = (0.5, 1.5), step_s: float = 10.0, fading: bool = True,
                 channel: str = "3gpp-36.814", episode_steps: int = 100, resources: str = "equal", reward: str = "scr",
                 handover_penalty: float = 0.0, regret: bool = False, render_mode: str | None = None, **study: Any) -> None:
        if scenario is not None and not isinstance(scenario, Scenario):
            raise UsageError("scenario", "must be a dashf.Scenario", repr(type(scenario).__name__))
        if scenario is not None and study:
            raise UsageError(next(iter(study)), "is of a study: give either a scenario or keywords of Scenario.study")
        if render_mode is not None:
            checks.one_of("render_mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        low, high = (checks.number("speed_m_per_s", v, 0.0) for v in speed_m_per_s)
        if low > high:
            raise UsageError("speed_m_per_s", "must be (low, high)", repr(speed_m_per_s))
        self._speed, self._step_s = (low, high), checks.number("step_s", step_s, 0.0)
        self._fading = checks.boolean("fading", fading)
        self._channel = {"channel": checks.one_of("channel", channel, _CHANNELS)}
        self._episode_steps = checks.integer("episode_steps", episode_steps, 1, 10**9)
        self._resources = checks.one_of("resources", resources, ("equal", "best", "action"))
        self._reward = checks.one_of("reward", reward, ("scr", "cost"))
        self._penalty = checks.number("handover_penalty", handover_penalty, 0.0)
        self._regret = checks.boolean("regret", regret)
        if self._regret and self._reward == "cost":
            raise UsageError("regret", "is of the reward \"scr\": the optimum of cost alone is not planned")
        self._given = scenario
        self._study = dict(study, users=users, servers=servers, channel=channel)
        first = scenario if scenario is not None else Scenario.study(**self._study)
        self._moves = high > 0.0 and self._step_s > 0.0
        if not has_places(first) and (self._moves or render_mode is not None):
            raise UsageError("scenario", "must have user_position_m and server_position_m for users who move and for maps: "
                             "give them, or speed_m_per_s=(0, 0) and no render_mode")
        self._begin(first)
        n, m = first.users, first.servers
        self.observation_space = spaces.Dict({
            "gain": spaces.Box(-10.0, 10.0, (n, m), np.float32), "server": spaces.Box(0.0, 1.0, (n, m), np.float32),
            "load": spaces.Box(0.0, 1.0, (m,), np.float32), "profile": spaces.Box(-10.0, 10.0, (n, 4), np.float32)})
        choice = spaces.MultiDiscrete(np.concatenate([np.full(n, m), self._layers + 1]))
        self.action_space: spaces.Space[Any] = choice if self._resources != "action" else spaces.Dict(
            {"choice": choice, "amounts": spaces.Box(0.0, 1.0, (n, len(RESOURCES)), np.float32)})

    # What gymnasium asks for -----------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None
              ) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        """Begins an episode; the same seed gives the same one."""
        super().reset(seed=seed)
        if self._given is None:
            self._begin(Scenario.study(**{**self._study, "seed": int(self.np_random.integers(2**31))}))
        else:
            self._begin(self._given)
        users = self._base.users
        self._target = self.np_random.uniform(self._low, self._high, (users, 2))
        self._pace = self.np_random.uniform(*self._speed, users)
        self._draw()
        return self._observe(), {}

    def step(self, action: Any) -> tuple[dict[str, NDArray[np.float32]], float, bool, bool, dict[str, Any]]:
        """Plans by the action, then lets time pass."""
        if not hasattr(self, "_target"):
            raise gymnasium.error.ResetNeeded("step needs reset before it")
        whole = self._resources == "action"
        if whole and not (isinstance(action, Mapping) and {"choice", "amounts"} <= set(action)):
            raise UsageError("action", "must be a dict with choice and amounts", repr(action))
        choice = np.asarray(action["choice"] if whole else action)
        if choice.shape != (2 * self._base.users,):
            raise UsageError("action", f"must have shape {(2 * self._base.users,)}", str(choice.shape))
        server, layers, repaired = self._repair(checks.integers("action", choice, choice.shape, "(2 users,)"))
        plan = self._plan(server, layers, action)
        handovers = int(np.sum((self._server >= 0) & (self._server != server)))
        info = {"scr": plan.scr, "cost": plan.cost, "delay_s": plan.delay_s, "energy_j": plan.energy_j,
                "handovers": handovers, "repaired": repaired}
        if self._reward == "scr":
            reward = (plan.score - self._penalty * handovers) / plan.cost
        else:
            reward = -(plan.cost + self._penalty * handovers)
        if self._regret:
            best, upper = self.optimum()
            info |= {"optimum": max(best, reward), "optimum_upper": upper, "regret": max(best - reward, 0.0)}
        self._server, self._last, self._last_of = server, plan, self._native
        self._steps += 1
        self._pass_time()
        return self._observe(), float(reward), False, self._steps >= self._episode_steps, info

    def render(self) -> NDArray[np.uint8] | None:
        """(height, width, 3): servers, users and who is with whom; None without ``render_mode``."""
        if self.render_mode is None:
            return None
        from . import plot

        plan = self.plan
        drawn = plot.map(self.scenario if plan is None else plan.scenario, plan)
        drawn.figure.set(dpi=150)
        drawn.figure.canvas.draw()
        return np.array(drawn.figure.canvas.buffer_rgba())[:, :, :3]

    def __getstate__(self) -> dict[str, Any]:
        # The planner's own objects cannot be copied; those around them can.
        return {**self.__dict__, "_native": self.scenario, "_last": self.plan, "_last_of": Scenario._of(self._last_of)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: state[name]._native if name in ("_native", "_last_of") or (name == "_last" and value)
                              else value for name, value in state.items()})

    # What agents may ask for -----------------------------------------------------------------------------------------

    @property
    def scenario(self) -> Scenario:
        """The network as the next action finds it."""
        return Scenario._of(self._native)

    @property
    def plan(self) -> Plan | None:
        """By the last action, of the network that it found; None before any."""
        return None if self._last is None else Plan._of(Scenario._of(self._last_of), self._last)

    def optimum(self) -> tuple[float, float]:
        """For the next action: the best reward ("scr") that the planner finds, and a proven bound on any plan's SCR."""
        found = solve(self.scenario, certify=True, threads=1)
        if found.interrupted:
            raise KeyboardInterrupt
        best, upper = found.score / found.cost, found.scr_upper
        if self._last is not None and self._penalty > 0.0:
            best = -np.inf
            standing = self._last
            candidates = [found]
            if self._base.delay == "sum":
                candidates.append(solve(self.scenario, start=Plan._of(self.scenario, standing),
                                        handover_penalty=self._penalty, threads=1))
            for plan in candidates:
                handovers = np.sum(np.asarray(plan.server) != self._server)
                best = max(best, (plan.score - self._penalty * handovers) / plan.cost)
        return float(best), float(upper if upper is not None else np.inf)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices need no repair but for slots, one after the other: for sb3-contrib's MaskablePPO."""
        reach = self._gain > 0.0
        splits = [self._allowed[n, :layers + 1] for n, layers in enumerate(self._layers)]
        return np.concatenate([reach.ravel(), *splits])

    # How it goes on --------------------------------------------------------------------------------------------------

    def _begin(self, scenario: Scenario) -> None:
        if hasattr(self, "_base") and scenario.users != self._base.users:
            raise UsageError("scenario", "must keep its number of users")
        self._base = scenario
        self._native = scenario._native
        self._places = np.array(scenario.user_position_m)
        self._sites = np.array(scenario.server_position_m)
        everything = np.vstack([self._places, self._sites])
        self._low, self._high = everything.min(axis=0), everything.max(axis=0)
        own = np.asarray(scenario.user_profile)
        work = scenario.profile_table("local_flop")[own]
        self._layers = np.count_nonzero(~np.isnan(work), axis=1) - 1
        with np.errstate(invalid="ignore"):
            memory = scenario.profile_table("local_memory_bytes")[own]
            self._allowed = memory <= np.asarray(scenario.user_memory_bytes_max)[:, None]
        if not scenario.objective["all_local_allowed"]:
            self._allowed[np.arange(len(own)), self._layers] = False
        self._nearest = _nearest_allowed(self._allowed)
        self._slots = np.where(scenario.server_slots < 0, len(own), scenario.server_slots)
        self._profile = self._describe(scenario, own, work)
        # Where nobody moves the scenario's own gains stand for the path.
        self._reach = scenario.gain > 0.0
        self._path = np.array(scenario.gain)
        self._server = np.full(len(own), -1)
        self._last: _core.Plan | None = None
        self._last_of = self._native
        self._steps = 0
        self._gain = self._path

    def _describe(self, scenario: Scenario, own: NDArray[Any], work: NDArray[Any]) -> NDArray[np.float32]:
        rows = np.arange(len(own))
        device = np.asarray(scenario.user_clock_hz_max) * np.asarray(scenario.user_flop_per_cycle)
        upload = scenario.profile_table("upload_bit")[own, 0]
        with np.errstate(divide="ignore"):
            table = np.stack([np.log10(work[rows, self._layers] / device) / 5.0, np.log10(upload) / 10.0,
                              np.log10(np.asarray(scenario.user_memory_bytes_max)) / 10.0,
                              self._allowed.sum(axis=1) / (self._layers + 1)], axis=1)
        return np.clip(table, -10.0, 10.0).astype(np.float32)

    def _draw(self) -> None:
        if self._moves:
            apart = self._places[:, None, :] - self._sites[None, :, :]
            distance = np.sqrt(apart[..., 0] ** 2 + apart[..., 1] ** 2)
            self._path = np.where(self._reach, _core.path_gains(self._channel, distance), 0.0)
        gain = self._path
        if self._fading:
            gain = gain * np.maximum(self.np_random.standard_exponential(gain.shape), _FADE_MIN)
        self._gain = gain
        self._native = self._base._native.replace({"gain": gain, "user_position_m": self._places}, False)

    def _pass_time(self) -> None:
        if self._moves:
            left = self._target - self._places
            distance = np.sqrt(left[:, 0] ** 2 + left[:, 1] ** 2)
            stride = self._pace * self._step_s
            there = distance <= stride
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.where(there, 1.0, stride / distance)
            self._places = self._places + left * share[:, None]
            if there.any():
                self._target[there] = self.np_random.uniform(self._low, self._high, (int(there.sum()), 2))
                self._pace[there] = self.np_random.uniform(*self._speed, int(there.sum()))
        self._draw()

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        with np.errstate(divide="ignore"):
            gain = np.clip((10.0 * np.log10(self._gain) + 100.0) / 30.0, -10.0, 10.0)
        users, servers = gain.shape
        where = np.zeros((users, servers), np.float32)
        if self._steps:
            where[np.arange(users), self._server] = 1.0
        return {"gain": gain.astype(np.float32), "server": where, "load": where.sum(axis=0) / np.float32(users),
                "profile": self._profile.copy()}

    def _repair(self, choice: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        users = self._base.users
        rows = np.arange(users)
        wanted, split = choice[:users], choice[users:]
        if not (np.all(wanted >= 0) and np.all(wanted < self._base.servers) and np.all(split >= 0)
                and np.all(split <= self._layers)):
            raise UsageError("action", "must be one of the action space", str(choice))
        layers = self._nearest[rows, split]
        server = np.where(self._gain[rows, wanted] > 0.0, wanted, self._gain.argmax(axis=1))
        load = np.bincount(server, minlength=len(self._slots))
        for m in np.flatnonzero(load > self._slots):
            here = np.flatnonzero(server == m)
            for n in here[np.argsort(self._gain[here, m], kind="stable")][:load[m] - self._slots[m]]:
                free = np.where(load < self._slots, self._gain[n], 0.0)
                if free.max() > 0.0:
                    server[n] = free.argmax()
                    load[m] -= 1
                    load[server[n]] += 1
        if np.any(load > self._slots):  # Users would have to change places; greedy's assignment knows how.
            server = np.array(solve(self.scenario, "greedy", threads=1).server, np.int64)
        return server, layers, int(np.sum((server != wanted) | (layers != split)))

    def _plan(self, server: NDArray[np.int64], layers: NDArray[np.int64], action: Any) -> _core.Plan:
        if self._resources != "action":
            return _core.allocate(self._native, "environment", server, layers, self._resources == "equal")
        amounts = np.asarray(action["amounts"], np.float64)
        if amounts.shape != (self._base.users, len(RESOURCES)) or not np.all((amounts >= 0.0) & (amounts <= 1.0)):
            raise UsageError("action[\"amounts\"]", f"must be {(self._base.users, len(RESOURCES))} numbers in [0, 1]")
        least = 1e-3  # A phase without any resource would never end.
        amounts = np.maximum(amounts, least)
        base = self._base
        columns = {"local_clock_hz": amounts[:, 0] * base.user_clock_hz_max,
                   "tx_power_w": amounts[:, 1] * base.user_tx_power_w_max}
        limits = {"bandwidth_hz": base.server_bandwidth_hz, "server_tx_power_w": base.server_tx_power_w_max,
                  "server_clock_hz": base.server_clock_hz_max}
        for i, (name, limit) in enumerate(limits.items(), 2):
            together = np.bincount(server, amounts[:, i], minlength=base.servers)
            columns[name] = amounts[:, i] / together[server] * limit[server]
        plan = _core.plan_from_arrays(self._native, "environment", server, layers, columns)
        if not plan.feasible:
            raise InfeasibleError("action", str(plan.violations[0]))
        return plan


def _nearest_allowed(allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(users, L + 1), for each split the nearest one that the user may choose, the lower of two."""
    splits = np.arange(allowed.shape[1])
    distance = np.abs(splits[None, :, None] - splits[None, None, :]) + np.where(allowed, 0, 10**6)[:, None, :]
    return distance.argmin(axis=2)


def parallel_env(**settings: Any) -> Any:
    """The same as PettingZoo's ParallelEnv: one agent per user, named by its id, who chooses its server and split.

    Each observes its own rows (``gain`` (servers,), ``server`` (servers,), ``profile`` (4,)) and ``load`` (servers,); all are
    given the same reward and info. Takes the keywords of PlanningEnv but ``resources`` "action".
    """
    if settings.get("resources") == "action":
        raise UsageError("resources", "must be \"equal\" or \"best\" with many agents")
    from ._parallel import ParallelPlanningEnv

    return ParallelPlanningEnv(PlanningEnv(**settings))


gymnasium.register(id="dashf/Planning-v0", entry_point="dashf.gym:PlanningEnv")
