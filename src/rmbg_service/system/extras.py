"""Packages that only some users need: the extras of pyproject.toml."""

from rmbg_service.errors import ConfigurationError


def missing_extra(extra: str, purpose: str) -> ConfigurationError:
    """The error that the packages of `extra` are not installed, and how to install them.

    The package is not on PyPI: its name there, if anybody has it, is not this project's.
    """
    return ConfigurationError(
        f"{purpose} needs packages that are not installed: run pip install -c constraints.txt "
        f"-e '.[{extra}]' in a clone of rmbg-service"
    )
