"""The command's tree and what holds for every command: exit codes, errors as one sentence.

Exit codes: 0 well, 1 something failed, 2 wrong use.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback

import typer
from pydantic import ValidationError

from trading_assets.cli import (
    alerts,
    archive,
    backup,
    collect,
    coverage,
    distribute,
    doctor,
    examples,
    export,
    inspect,
    lineage,
    live,
    maintain,
    notices,
    positions,
    quarantine,
    recovery,
    report,
    root,
    serve,
    status,
    streams,
    validate,
    work,
)
from trading_assets.cli.output import Failed, errors_to, note_to
from trading_assets.errors import LakeError
from trading_assets.permissions import PRIVATE_UMASK
from trading_assets.remedies import Medium, speaking
from trading_assets.settings import traceback_wanted, wrong_value

WRONG_USE = 2
FAILED = 1

INTERRUPTED = 130
"""What Typer gives back for a command that Ctrl-C ended."""

app = typer.Typer(
    name="trading-assets",
    callback=root.options,
    epilog=examples.section(""),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(
        serve.demo,
        serve.up,
        work.worker,
        serve.simulate,
        live.live,
        positions.positions,
        report.report,
        status.diagnose,
    ),
    *(collect.setup, collect.update, collect.backfill, collect.plan, status.status, coverage.coverage, lineage.lineage),
    *(inspect.query, export.export, recovery.rebuild_identity, backup.backup, backup.restore, doctor.doctor),
    *(validate.validate, alerts.quality),
):
    app.command()(command)
app.add_typer(inspect.universe_app, name="universe")
app.add_typer(validate.review_app, name="review")
app.add_typer(alerts.alerts_app, name="alerts")
app.add_typer(quarantine.quarantine_app, name="quarantine")
app.add_typer(maintain.maintain_app, name="maintain")
app.add_typer(archive.archive_app, name="archive")
app.add_typer(distribute.distribute_app, name="distribute")
root.group(app)
examples.add_examples(app)


def main() -> None:
    """Entry point of the command."""
    notices.silence()
    os.umask(PRIVATE_UMASK)
    logging.getLogger("trading_assets").setLevel(logging.ERROR)
    output = streams.make_lenient()
    code = run(sys.argv[1:])
    output.flush()
    if output.error is not None:
        note_to(streams.sentence(output.error))
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; returns its exit code. Set TRADING_ASSETS_TRACEBACK=1 to see where an unforeseen error came
    from."""
    with speaking(Medium.COMMAND):
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        result = app(arguments, standalone_mode=False)
    except Failed as failure:
        errors_to(str(failure))
        return FAILED
    except ValidationError as error:
        errors_to(wrong_value(error))
        return WRONG_USE
    except typer.TyperException as error:
        said = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
        if said:  # nothing is said where the help was shown instead
            errors_to(said)
        return WRONG_USE
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except OSError as error:
        if traceback_wanted():
            traceback.print_exc()
        errors_to(
            f"A file could not be read or written ({error}). Check free space and rights of the data folder, then run"
            " again."
        )
        return FAILED
    except ValueError as error:
        errors_to(str(error))
        return FAILED if isinstance(error, LakeError) else WRONG_USE
    except Exception as error:
        # The last resort of a command line: every error ends in a sentence and exit code 1, never in a traceback
        # unasked for.
        if traceback_wanted():
            traceback.print_exc()
        errors_to(_unforeseen(error))
        return FAILED
    if result == INTERRUPTED:
        return _interrupted()
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    errors_to("Interrupted. Nothing is lost: what was answered is in the journal, run the same command again.")
    return FAILED


def _unforeseen(error: Exception) -> str:
    """The first line of an error: libraries add SQL and hints in further ones. One of the state database says so."""
    said = str(error).partition("\n")[0]
    if type(error).__module__.startswith("sqlalchemy."):
        return (
            f"The state database cannot be used: {said}. Check its file state.db and the rights of the data folder, or"
            " TRADING_ASSETS_DATABASE_URL. trading-assets doctor says what mends a damaged file."
        )
    return f"{type(error).__name__}: {said}"
