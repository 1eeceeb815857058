"""Split profiles: what training so many layers at home, and the others at the server, costs."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from .errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROFILE = ("local_flop", "server_flop", "upload_bit", "download_bit", "local_memory_bytes")


@dataclass(frozen=True)
class SplitProfile:
    """What each split k = 0..L costs: arrays of L + 1 numbers (docs/model.md).

    ``local_flop`` and ``server_flop`` in FLOP, ``upload_bit`` and ``download_bit`` in bit, ``local_memory_bytes`` in
    bytes. ``local_flop[0]``, ``server_flop[L]``, ``upload_bit[L]`` and ``download_bit[L]`` are 0.
    """

    name: str
    local_flop: NDArray[np.float64]
    server_flop: NDArray[np.float64]
    upload_bit: NDArray[np.float64]
    download_bit: NDArray[np.float64]
    local_memory_bytes: NDArray[np.float64]

    @property
    def layers(self) -> int:
        """L."""
        return len(self.local_flop) - 1


def block_of(names: list[str], columns: dict[str, Any]) -> dict[str, Any]:
    """Profiles of equally many layers as the planner takes them."""
    splits = {checks.rows(name, column).shape[1] for name, column in columns.items()}
    block: dict[str, Any] = {"name": checks.texts("profile_names", names, len(names), "profiles")}
    for name, column in columns.items():
        table = checks.rows(name, column)
        if table.shape[0] == 1 and len(names) > 1:
            table = np.broadcast_to(table, (len(names), table.shape[1]))
        block[name] = checks.shaped(name, table, (len(names), max(splits)), "(profiles, L + 1)")
    return block


def blocks_of(profiles: Iterable[SplitProfile]) -> tuple[list[dict[str, Any]], int]:
    """Neighbours of equally many layers share a block."""
    blocks: list[dict[str, Any]] = []
    run: list[SplitProfile] = []
    count = 0

    def close() -> None:
        if run:
            blocks.append(block_of([p.name for p in run],
                                 {c: np.array([getattr(p, c) for p in run]) for c in PROFILE}))
            run.clear()

    if not isinstance(profiles, Iterable):
        raise BadInputError("profiles", "must be a list of SplitProfile", repr(type(profiles).__name__))
    for i, profile in enumerate(profiles):
        if not isinstance(profile, SplitProfile):
            raise BadInputError(f"profiles[{i}]", "must be a SplitProfile", repr(type(profile).__name__))
        lengths = {np.size(getattr(profile, c)) for c in PROFILE}
        if len(lengths) > 1:
            raise BadInputError(f"profiles[{i}]", "must have columns of one length", str(sorted(lengths)))
        if run and len(run[0].local_flop) != len(profile.local_flop):
            close()
        run.append(profile)
        count += 1
    close()
    return blocks, count
