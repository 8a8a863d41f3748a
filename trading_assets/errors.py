"""Every error that the platform raises on purpose, in one tree. What an error says names what happened and what to do.

    TradingAssetsError
    ├── InvalidRequest (ValueError)      the words of a call are wrong; nothing was done
    │   ├── NotASession                  a date without a session of XNYS
    │   ├── UnknownBarSize, SpanTooLong  a bar size that is not collected, a span that no request covers
    │   ├── NotOneSelect                 a query that is not exactly one SELECT, or would write
    │   ├── NoReview                     no bar of that symbol and session is held for review
    │   └── Refused                      a run that asks for something impossible
    ├── LakeError                        the data folder
    │   ├── NotALake                     a folder that holds no lake; nothing was created (also an InvalidRequest)
    │   ├── LakeBusy (TimeoutError)      another process holds a lock for too long; try again
    │   ├── InvalidFrame (ValueError)    a frame that may not enter the lake; nothing was written
    │   ├── UnreadableFile (ValueError)  a damaged or foreign file
    │   │   ├── WrongColumns             columns that are not those of the dataset: another program wrote it
    │   │   ├── ForbiddenFile            a file that this user may not read
    │   │   └── ArchiveNotMounted        a period in an archive whose folder is not there; nothing is lost
    │   ├── InvalidPackage (ValueError)  an archive package that is none, or is not whole
    │   ├── IdentityMismatch             the lake belongs to another broker account (also a BrokerError)
    │   ├── LayoutMismatch (ValueError)  files of another version or period
    │   │   └── NewerFile                a file that a newer version of the program wrote; it was not rewritten
    │   ├── DamagedIdentity, LostIdentity (ValueError)  `lake.json` is damaged, or missing beside data
    │   ├── StateMismatch (ValueError)   the state database, or that of Dagster's history, belongs to another lake
    │   ├── NetworkFolder (ValueError)   SQLite's state database on a folder that several machines use
    │   ├── HistoryUnavailable, ObjectStoreError (ValueError)  Dagster's database, the object store: absent, denied
    │   └── BackupError (ValueError)     a backup that cannot be made, is damaged, or must not be restored here
    ├── BrokerError                      ends a run; `retryable` says whether the same run may succeed later
    │   ├── BrokerUnavailable            retryable: no connection, and none could be made in time
    │   │   └── ClientIdsExhausted       retryable: every client id of the range is in use
    │   ├── PacingExhausted              retryable: a limit of the broker stayed exhausted
    │   ├── BreakerOpen                  retryable: the circuit breaker is open, nothing was sent
    │   ├── RequestFailed                a request made directly ended without an answer; what came is in the lake
    │   │   ├── UnknownContract          the broker knows no such contract
    │   │   ├── NotPermitted             the account may not receive this data
    │   │   └── RequestTimedOut (TimeoutError)  retryable: no answer in time
    │   ├── BrokerIncompatible           what answers is not TWS, or speaks no protocol version that we speak
    │   ├── IdentityMismatch             the broker behind the connection is not the one that filled this lake
    │   └── BrokerNotConfigured          the settings name no broker to connect to, or one login twice
    ├── PrerequisiteError                something must be in the lake first
    ├── DataIntegrityError               stored data violates rules of severity ERROR
    ├── ExtraMissing (ImportError)       a package that only some uses need is not installed
    ├── ChannelFailed                    an alert channel did not take the message
    ├── ExtensionFailed                  a rule or a channel of another package cannot be used
    └── ServiceError                     `trading-assets up`
        ├── PlaceTaken (OSError)         the port or the data folder is in use
        └── ServiceFailed                a service did not start, or ended by itself

One request's failure is not an error but an outcome (`broker.outcomes`); the client for direct requests
(`trading_assets.client`) raises it as an error once all others are answered and stored. The circuit breaker used by
itself raises `reliability.BreakerOpen`, a RuntimeError of that package, which knows nothing of this one.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from trading_assets import reliability
from trading_assets.remedies import Medium, speaking, typed, worded


class TradingAssetsError(Exception):
    """Base of every error that the platform raises on purpose. It names the remedy in the reader's medium."""

    def __str__(self) -> str:
        return worded(super().__str__())

    @property
    def as_stored(self) -> str:
        """The text as it is stored and shown in the UI: remedies are commands."""
        with speaking(Medium.COMMAND):
            return str(self)


class InvalidRequest(TradingAssetsError, ValueError):
    """The words of a call are wrong; nothing was done."""


class NotASession(InvalidRequest):
    """The date is not an XNYS session."""


class UnknownBarSize(InvalidRequest):
    """The bar size is not one that is collected."""


class SpanTooLong(InvalidRequest):
    """No single duration of the bar size covers the span."""


class NotOneSelect(InvalidRequest):
    """A query is not exactly one SELECT (or EXPLAIN of one), or it would write."""


class NoReview(InvalidRequest):
    """No bar of that symbol and session is held."""


class Refused(InvalidRequest):
    """The run asks for something that is impossible or makes no sense; running it again changes nothing."""


class LakeError(TradingAssetsError):
    """Base of the errors of the data folder."""


class NotALake(LakeError, InvalidRequest):
    """The folder holds no lake; nothing was created in it. The message names lakes that may have been meant."""

    def __init__(self, path: Path, why: str, near: Collection[Path] = ()) -> None:
        self.path = path
        meant = (
            f"Did you mean {' or '.join(str(lake) for lake in near)}?"
            if near
            else "Give the folder in which lake.json is, or collect into this one first: trading-assets setup AAPL."
        )
        super().__init__(f"{path} holds no lake: {why}. {meant}")


class LakeBusy(LakeError, TimeoutError):
    """Another process has held the lock of a file for longer than `repositories.files.LOCK_SECONDS`."""


class InvalidFrame(LakeError, ValueError):
    """The frame cannot enter the lake; nothing was written. `problems` holds one sentence a problem."""

    def __init__(self, dataset: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{dataset} refused the frame and wrote nothing. {' '.join(problems)}")


class UnreadableFile(LakeError, ValueError):
    """A file of the lake cannot be read as one of its dataset: cut off by a full disk, written by something else, not
    permitted. The message (`said` in place of the usual one) names it and says what to do."""

    def __init__(self, path: Path | str, why: str = "it is no readable Parquet file", said: str = "") -> None:
        self.path, self.why = Path(path), why
        remedy = "Put it back from a backup, or move it away and run trading-assets update; what the broker no longer"
        super().__init__(said or f"{path} is damaged: {why}. {remedy} gives of it is then lost.")


class WrongColumns(UnreadableFile):
    """A file whose columns are not those of its dataset. `why` names the column."""


class ForbiddenFile(UnreadableFile):
    """A file of the lake that this user may not read. It may be whole."""

    def __init__(self, path: Path | str) -> None:
        said = f"{path} cannot be read: this user is not permitted to. Give the user the right to read the files of"
        super().__init__(path, said=f"{said} the data folder.")


class ArchiveNotMounted(UnreadableFile):
    """A period of the lake that is in an archive package whose folder is not there."""

    def __init__(self, path: Path | str) -> None:
        again = "Make the folder available again, or name its new place in TRADING_ASSETS_ARCHIVES and run"
        said = f"{path} is in an archive package whose folder is not there. {again} trading-assets archive mount."
        super().__init__(path, said=f"{said} Nothing is lost.")


class InvalidPackage(LakeError, ValueError):
    """An archive package that is none, was changed, or does not belong to the lake."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(f"{place} is no archive package that can be used: {why}.")


class LayoutMismatch(LakeError, ValueError):
    """The lake's files have other periods than asked for, or another version of the schema."""


class NewerFile(LayoutMismatch):
    """A file of the lake that a newer version of the program wrote. It is read; this program does not rewrite it."""

    def __init__(self, path: Path | str, version: str, writer: str, known: int) -> None:
        self.path = Path(path)
        by = f", by trading-assets {writer}" if writer else ""
        super().__init__(
            f"{path} has version {version} of the columns{by}, and this program knows versions up to {known}: the file"
            " was not rewritten, so that it loses nothing. Use a newer version of the program (pip install --upgrade"
            " trading-assets), then run the same again."
        )


class DamagedIdentity(LakeError, ValueError):
    """`lake.json` is no document of a lake: cut off by a full disk, or written by something else."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is damaged ({why}): it does not say whose data the lake holds. Put it back from a backup, or"
            " rebuild it from the state database with trading-assets rebuild-identity; the data files beside it are"
            " not touched."
        )


class LostIdentity(LakeError, ValueError):
    """The folder holds a lake, and there is no `lake.json`. The message says what to do."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is missing: the folder holds data, but lake.json does not say whose. It was deleted, or did not"
            " come with the other files. Put it back from a backup, or rebuild it from the state database with"
            " trading-assets rebuild-identity."
        )


class StateMismatch(LakeError, ValueError):
    """The state database, or that of Dagster's history, belongs to another lake. The message names both."""


class NetworkFolder(LakeError, ValueError):
    """SQLite's state database is in a folder that several machines use. Nothing was opened."""


class HistoryUnavailable(LakeError, ValueError):
    """The database server of Dagster's history does not answer, denies access, or is not the one of the settings."""


class ObjectStoreError(LakeError, ValueError):
    """The object store of the lake cannot be used: its bucket is absent, access is denied, or it does not answer."""


class BackupError(LakeError, ValueError):
    """A backup cannot be made, is damaged, or must not be restored where it was asked for. Nothing was replaced."""


class BrokerError(TradingAssetsError):
    """Base of all errors that end a run of the broker. `retryable`: the same run may succeed later unchanged."""

    retryable = False


class BrokerUnavailable(BrokerError):
    """No connection to the broker, and none could be made within `settings.reconnect_timeout`."""

    retryable = True


class ClientIdsExhausted(BrokerUnavailable):
    """Every client id of `settings.ib_client_ids` is in use."""


class RequestFailed(BrokerError):
    """A request made directly ended without an answer, after all others of the call were answered and stored.

    The message has a sentence for each symbol or contract that failed; `outcome` and `broker_code` are those of the
    first, and say whether the same call may succeed later (`retryable`). `frame` holds what the call can return all the
    same (None: nothing).
    """

    def __init__(
        self,
        message: str,
        *,
        outcome: str = "",
        broker_code: int | None = None,
        frame: Any = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable, self.outcome, self.broker_code, self.frame = retryable, outcome, broker_code, frame


class UnknownContract(RequestFailed):
    """The broker knows no such contract, or the words fit several."""


class NotPermitted(RequestFailed):
    """The account lacks the market-data subscription or permission."""


class RequestTimedOut(RequestFailed, TimeoutError):
    """The broker did not answer in time; the same call may succeed later."""


class BrokerIncompatible(BrokerError):
    """What answers at the broker's address is not TWS, or shares no protocol version with us, and will not soon."""


class PacingExhausted(BrokerError):
    """A limit of the broker stayed exhausted for longer than a run may wait: several requests, and no answer."""

    retryable = True


class BreakerOpen(BrokerError, reliability.BreakerOpen):
    """The circuit breaker is open after repeated failures; `seconds_left` says when one trial call is allowed."""

    retryable = True


class IdentityMismatch(BrokerError, LakeError, ValueError):
    """The broker is not the one whose data the lake holds. Raised before any data request."""


class BrokerNotConfigured(BrokerError):
    """The settings name no broker to connect to, or two gateways that are one login."""


class PrerequisiteError(TradingAssetsError):
    """Something that must be in the lake first is absent or out of date. The message says what, and what to do."""


class DataIntegrityError(TradingAssetsError):
    """Stored data violates rules of severity ERROR. The message names them; `results` are `RuleResult`s."""

    _NAMED = 5  # failing rules that the message names

    def __init__(self, symbol: str, results: Collection[Any]) -> None:
        self.symbol, self.results = symbol, tuple(results)
        named = " ".join(result.sentence() for result in self.results[: self._NAMED])
        more = len(self.results) - self._NAMED
        super().__init__(
            f"{symbol}: {named}"
            + (f" {more} more rule(s) fail: trading-assets validate {typed(symbol)}." if more > 0 else "")
        )


class ExtraMissing(TradingAssetsError, ImportError):
    """A package that `what` needs is not installed; an extra of ours brings it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}, which is not installed: pip install 'trading-assets[{extra}]'.")


class ChannelFailed(TradingAssetsError):
    """The channel did not take the message. Says why in a sentence without secrets."""


class ExtensionFailed(TradingAssetsError):
    """A rule or an alert channel of another package cannot be imported or used. The message names it."""


class ServiceError(TradingAssetsError):
    """Base of the errors of `trading-assets up`."""


class PlaceTaken(ServiceError, OSError):
    """The port or the data folder is in use. Says by what and what to do."""


class ServiceFailed(ServiceError):
    """A service did not start, or ended by itself. The message says which."""


__all__ = [name for name, it in dict(globals()).items() if isinstance(it, type) and issubclass(it, TradingAssetsError)]
