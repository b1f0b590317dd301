"""Instant checks, one module a chapter: `from helpers import checks`, then `checks.ch01.linear(linear)`."""

import importlib


def __getattr__(name):
    """Import `checks.chNN` when it is first used, so that chapter 01 does not load chapter 09's needs."""
    if name.startswith("ch") and name[2:].isdigit():
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(
        f"helpers.checks has no part {name!r}: checks are called like checks.ch01.linear(linear)"
    )
