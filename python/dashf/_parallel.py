"""The environment with an agent for every user, for PettingZoo."""
from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from .gym import PlanningEnv


class ParallelPlanningEnv(ParallelEnv):
    """See dashf.gym.parallel_env."""

    metadata = {"name": "dashf_planning_v0", "render_modes": []}

    def __init__(self, environment: PlanningEnv) -> None:
        self.environment = environment
        base = environment._base
        self.possible_agents = list(base.user_ids)
        self.agents: list[str] = []
        self.render_mode = None
        whole: Any = environment.observation_space
        self.observation_spaces = {
            name: spaces.Dict({key: spaces.Box(space.low[n] if key != "load" else space.low,
                                               space.high[n] if key != "load" else space.high, dtype=np.float32)
                               for key, space in whole.spaces.items()})
            for n, name in enumerate(self.possible_agents)}
        self.action_spaces = {name: spaces.MultiDiscrete([base.servers, environment._layers[n] + 1])
                              for n, name in enumerate(self.possible_agents)}

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def _share_out(self, observation: dict[str, Any]) -> dict[str, Any]:
        return {name: {key: value if key == "load" else value[n] for key, value in observation.items()}
                for n, name in enumerate(self.possible_agents)}

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        observation, info = self.environment.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._share_out(observation), {name: dict(info) for name in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
        if not self.agents:
            return {}, {}, {}, {}, {}
        choice = np.array([actions[name] for name in self.possible_agents]).T.ravel()
        observation, reward, ended, truncated, info = self.environment.step(choice)
        names = self.agents
        if ended or truncated:
            self.agents = []
        return (self._share_out(observation), dict.fromkeys(names, reward), dict.fromkeys(names, ended),
                dict.fromkeys(names, truncated), {name: dict(info) for name in names})

    def render(self) -> None:
        return None

    def close(self) -> None:
        self.environment.close()
