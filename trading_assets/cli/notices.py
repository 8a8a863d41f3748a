"""Notices of libraries about parts this platform uses knowingly, silenced by name and no others."""

import warnings

KNOWN_NOTICES = (
    "Function `dev_command` is superseded",  # `dg dev` needs a project layout of its own
    "Parameter `backfill_policy` of function `asset` is currently in beta",
    "Parameter `backfill_policy` of initializer",
    "Specifying a partitions_def on an AssetCheckSpec",
    "Parameter `owners` of initializer `SensorDefinition",  # Dagster's own call, for each sensor of a job
)
"""How each begins."""


def silence() -> None:
    """Silence them in this process."""
    for begins in KNOWN_NOTICES:
        warnings.filterwarnings("ignore", message=begins)


def for_children() -> str:
    """The value of PYTHONWARNINGS that silences them in a child process."""
    return ",".join(f"ignore:{begins}" for begins in KNOWN_NOTICES)
