"""Trains PPO of stable-baselines3 on dashf.gym and holds it against dashf's methods on networks that it has not seen.

    pip install '.[gym,frames]' stable-baselines3
    python python/baselines/ppo.py --out ppo.jsonl --seeds 5 --steps 200000

Each seed trains an agent of its own, and has fresh episodes of its own, whose networks all methods plan, too. Printed is
the percentage of a proven bound on any plan's SCR that each method reaches, and what it lacks of it, which is its regret
at most: means over the seeds, with 95 % intervals. FILE keeps what is done: called again, it goes on from there.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pandas

import dashf
import dashf.gym

if TYPE_CHECKING:
    from stable_baselines3 import PPO

METHODS = ("prices", "dashf", "association-only", "resource-only", "greedy", "random", "all-server")
EQUAL, BEST, UNTRAINED = "PPO, equal shares", "PPO's choices, best shares", "random actions, equal shares"
FRESH = 10**6  # Evaluations begin episodes by seeds from here on; trainings by the first 32 of 1000 times their own.


def trained(seed: int, options: argparse.Namespace) -> PPO:
    """An agent. What it does now does not change the next network, so that it need not look ahead: gamma is 0."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    network = {"users": options.users, "servers": options.servers}
    environments = VecNormalize(make_vec_env("dashf/Planning-v0", n_envs=32, seed=1000 * seed, env_kwargs=network),
                                norm_obs=False, gamma=0.0)
    agent = PPO("MultiInputPolicy", environments, seed=seed, device="cpu", gamma=0.0, gae_lambda=1.0, n_steps=128,
                batch_size=512, n_epochs=8, learning_rate=lambda left: 1e-3 * left, ent_coef=1e-3,
                policy_kwargs={"net_arch": [256, 256]})
    return agent.learn(options.steps)


def percents(agent: PPO, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Of the proven bound on SCR, by method: the mean over the networks of fresh episodes."""
    environment: Any = gymnasium.make("dashf/Planning-v0", users=options.users, servers=options.servers, regret=True)
    planning = environment.unwrapped
    untrained: Any = gymnasium.make("dashf/Planning-v0", users=options.users, servers=options.servers)
    untrained.action_space.seed(seed)
    found: dict[str, list[float]] = {name: [] for name in (EQUAL, BEST, UNTRAINED, *METHODS)}
    for episode in range(options.episodes):
        observation, _ = environment.reset(seed=FRESH + 1000 * seed + episode)
        untrained.reset(seed=FRESH + 1000 * seed + episode)  # What is done does not change the networks.
        for _ in range(options.episode_steps):
            action, _ = agent.predict(observation, deterministic=True)
            observation, reward, _, _, info = environment.step(action)
            plan = planning.plan
            scr = {EQUAL: reward, UNTRAINED: untrained.step(untrained.action_space.sample())[1],
                   BEST: dashf.Plan.from_arrays(plan.scenario, plan.server, plan.local_layers).scr}
            for row in dashf.compare(plan.scenario, METHODS, jobs=1):
                scr[row.method] = row.plan.scr if row.plan else 0.0
            for name, value in scr.items():
                found[name].append(100.0 * value / info["optimum_upper"])
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE", help="what is done, a line for each seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200_000, help="of the environment, for each seed")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=10, help="fresh ones, for each seed")
    parser.add_argument("--episode-steps", type=int, default=5)
    options = parser.parse_args()
    try:  # Here, so that --help does not need them.
        import stable_baselines3
        import torch
    except ModuleNotFoundError as error:
        parser.error(f"{error.name} is not installed: pip install stable-baselines3")
    torch.set_num_threads(1)
    settings = {name: value for name, value in vars(options).items() if name not in ("out", "seeds")}
    done: dict[int, dict[str, Any]] = {}
    if os.path.exists(options.out):
        with open(options.out, encoding="utf-8") as file:
            done = {row["seed"]: row for row in map(json.loads, file) if row["settings"] == settings}
    for seed in range(1, options.seeds + 1):
        if seed in done:
            continue
        begin = time.process_time()
        agent = trained(seed, options)
        training_s = time.process_time() - begin
        done[seed] = {"seed": seed, "settings": settings, "training_s": training_s,
                      "percents": percents(agent, seed, options)}
        with open(options.out, "a", encoding="utf-8") as file:
            file.write(json.dumps(done[seed]) + "\n")
        print(json.dumps(done[seed]), file=sys.stderr, flush=True)
    rows = [done[seed] for seed in range(1, options.seeds + 1)]
    print(f"{options.users} users, {options.servers} servers; {len(rows)} agents of {options.steps} steps, "
          f"{np.mean([row['training_s'] for row in rows]):.0f} s of processor time each; {options.episodes} fresh episodes "
          f"of {options.episode_steps} networks for each; stable-baselines3 {stable_baselines3.__version__}\n")
    frame = pandas.DataFrame([{"seed": row["seed"], "method": name, "scr": value, "percent_of_best": value}
                              for row in rows for name, value in row["percents"].items()])
    print("| method | % of the proven bound | regret at most, % of it |\n|---|---|---|")
    for row in dashf.summarise(frame, ["percent_of_best"]).sort_values("percent_of_best", ascending=False).itertuples():
        print(f"| {row.method} | {row.percent_of_best:.2f} +- {row.percent_of_best_plus_minus:.2f} | "
              f"{100 - row.percent_of_best:.2g} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
