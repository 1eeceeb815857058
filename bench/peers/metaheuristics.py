"""Genetic algorithm and particle swarm (pymoo) on the whole problem, as papers of this field use
them. Genes in [0, 1]: server, split, three share weights, own power, own clock of each user."""
import time

import numpy as np
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.algorithms.soo.nonconvex.pso import PSO
from pymoo.core.problem import Problem
from pymoo.optimize import minimize

GENES = 7
WEIGHT_RANGE = 6.0  # A share's weight spans exp(+-3).


class Genome:
    def __init__(self, study):
        self.study = study
        self.splits = [np.flatnonzero(row) for row in study.allowed]
        self.reach = [np.flatnonzero(row > 0) for row in study.snr]

    def decode(self, genes):
        """(P, 7 N) genes -> the arguments of Study.scr. Slots are kept by repair, shares sum to 1."""
        study = self.study
        genes = genes.reshape(len(genes), study.N, GENES)
        server, k = np.empty(genes.shape[:2], int), np.empty(genes.shape[:2], int)
        for n in range(study.N):
            for out, choices, gene in ((server, self.reach[n], 0), (k, self.splits[n], 1)):
                at = (genes[:, n, gene] * len(choices)).astype(int)
                out[:, n] = choices[np.minimum(at, len(choices) - 1)]
        self.repair(server)
        weights = np.exp(WEIGHT_RANGE * (genes[:, :, 2:5].transpose(2, 0, 1) - 0.5))
        weights = weights * study.needs(server, k)
        shares = np.zeros_like(weights)
        for m in range(study.M):
            here = weights * (server == m)
            shares += here / np.maximum(here.sum(axis=2, keepdims=True), 1e-300)
        # Own power and clock never want to be near 0; a tenth of the limit is low enough.
        own = 0.1 + 0.9 * genes[:, :, 5:7]
        return server, k, shares, own[:, :, 0], own[:, :, 1]

    def repair(self, server):
        """Moves users off crowded servers, the last ones first, to the next one with a slot."""
        study = self.study
        for row in server:
            load = np.bincount(row, minlength=study.M)
            for n in range(study.N - 1, -1, -1):
                if load[row[n]] > study.slots[row[n]]:
                    free = [m for m in self.reach[n] if load[m] < study.slots[m]]
                    if free:
                        load[row[n]] -= 1
                        row[n] = free[0]
                        load[row[n]] += 1


class ScrProblem(Problem):
    def __init__(self, study, genome):
        super().__init__(n_var=GENES * study.N, n_obj=1, xl=0.0, xu=1.0)
        self.study, self.genome = study, genome

    def _evaluate(self, x, out, *_args, **_kwargs):
        out["F"] = -self.study.scr(*self.genome.decode(x))


def search(study, algorithm, seconds, seed):
    """The best plan found in `seconds` of wall time, and the time taken."""
    genome = Genome(study)
    start = time.perf_counter()
    found = minimize(ScrProblem(study, genome), algorithm, ("time", seconds), seed=seed)
    return [x[0] if x.ndim == 2 else x[:, 0] for x in genome.decode(found.X[None, :])], \
        time.perf_counter() - start


def genetic_algorithm(study, seconds, seed):
    return search(study, GA(pop_size=200), seconds, seed)


def particle_swarm(study, seconds, seed):
    return search(study, PSO(pop_size=100), seconds, seed)
