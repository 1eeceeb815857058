"""dashf: which mobile user fine-tunes how many layers of an LLM with which edge server, and with what resources.

    import dashf
    plan = dashf.solve(dashf.Scenario.study(users=10, servers=2), certify=True)
    print(plan.scr, plan.gap)

The planner of the C++ system dashf as arrays and functions (docs/python.md; the model: docs/model.md).
``dashf.gym`` is an environment for agents, ``dashf.plot`` draws, ``python -m dashf.paper`` makes a paper's figures;
``dashf.data`` makes Parquet and CSV what the training engine reads, ``dashf.train`` and ``dashf.run`` start it.
"""
from . import _core
from .drawing import channels, families
from .errors import BadInputError, Error, InfeasibleError, IoError, NumericalError, RoundFailedError, UsageError
from .plan import (Alternative, CapacityValue, Evaluation, Explanation, Iteration, Plan, UserReason, Violation)
from .planning import Comparison, ComparisonRow, compare, methods, solve
from .profiles import SplitProfile
from .scenario import Scenario
from .study import summarise, sweep
from .training import Run, Training, report, run, train

__version__: str = _core.version
__all__ = [
    "Alternative", "BadInputError", "CapacityValue", "Comparison", "ComparisonRow", "Error", "Evaluation",
    "Explanation", "InfeasibleError", "IoError", "Iteration", "NumericalError", "Plan", "RoundFailedError", "Run",
    "Scenario", "SplitProfile", "Training", "UsageError", "UserReason", "Violation", "channels", "compare", "families",
    "methods", "report", "run", "solve", "summarise", "sweep", "train",
]
