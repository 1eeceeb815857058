"""What goes wrong, as exceptions that keep the place, the rule and the value.

Each class is also the usual exception of its kind, so that ``except ValueError`` works. ``exit_code`` is what the
command line ends with for the same error (docs/exit-codes.md).
"""
from __future__ import annotations

__all__ = ["Error", "UsageError", "BadInputError", "InfeasibleError", "NumericalError", "RoundFailedError", "IoError"]


class Error(Exception):
    """Base of dashf's exceptions.

    Attributes: ``where``, the place ("users[3].tx_power_w_max", "gap_target"); ``rule``, what must hold there;
    ``value``, what was found instead, as text ("" where there is no one value).
    """

    exit_code = 1

    def __init__(self, where: str, rule: str, value: str = "") -> None:
        super().__init__(where, rule, value)
        self.where, self.rule, self.value = where, rule, value

    def __str__(self) -> str:
        text = f"{self.where}: {self.rule}" if self.where else self.rule
        return f"{text}, got {self.value}" if self.value else text


class UsageError(Error, ValueError):
    """An argument is wrong."""

    exit_code = 2


class BadInputError(Error, ValueError):
    """An array, a scenario or a file breaks a rule."""

    exit_code = 3


class InfeasibleError(Error):
    """The scenario admits no plan, or a plan breaks a limit."""

    exit_code = 4


class NumericalError(Error, ArithmeticError):
    """A computation produced no usable number."""

    exit_code = 6


class RoundFailedError(Error):
    """A training round did not end for every user; ``run`` has what it brought, a dashf.Run."""

    exit_code = 8
    run = None


class IoError(Error, OSError):
    """A file could not be read or written."""

    exit_code = 10

    # OSError would make a number and a message of the arguments.
    def __new__(cls, *arguments: str) -> IoError:
        return super().__new__(cls)

    def __init__(self, where: str, rule: str, value: str = "") -> None:
        Error.__init__(self, where, rule, value)
        self.args = (where, rule, value)

    def __reduce__(self):
        return type(self), (self.where, self.rule, self.value)


_OF_KIND = {kind.exit_code: kind for kind in (UsageError, BadInputError, InfeasibleError, NumericalError, RoundFailedError,
                                               IoError)}


def of_kind(exit_code: int, where: str, message: str) -> Error:
    """The exception for an error of the planner, whose messages end with ", got VALUE" where there is a value."""
    rule, _, value = message.partition(", got ")
    return _OF_KIND.get(exit_code, Error)(where, rule, value)
