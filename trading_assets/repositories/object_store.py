"""A lake's objects in S3, or in a server that speaks its protocol: list, read, replace if unchanged.

Keys, region and endpoint come from where Amazon's own tools have them (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_REGION`, `AWS_ENDPOINT_URL`, or the role of the machine). An object is replaced only while it has the ETag that it
was read with, and created only where there is none (`If-Match`, `If-None-Match`). Every version that is written carries
a mark of its own: when the answer to a write is lost, the mark says whether it was done.

The client cannot delete on a condition: no object is ever deleted.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from trading_assets.errors import ExtraMissing, ObjectStoreError
from trading_assets.repositories.storage import Replaced

T = TypeVar("T")

_MARK = "trading-assets-write"
"""Name of the attribute that holds the mark of a write."""

_LARGEST_PUT = 5 * 2**30
"""Bytes that one request can write, by the documentation of S3; only one request has a condition."""

_READING: Any = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}

_WRITING: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=30)}
"""A write is never sent again as it is: its answer may have been lost, and then the condition says something else."""

_CLIENT: Any = {
    "allow_http": True,  # of an endpoint that is named so: a server of one's own
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(minutes=10),
}

_DENIED = re.compile(
    r"AccessDenied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Unauthorized"
)


_clients_of: set[int] = set()
"""The process that has clients: their threads and connections do not survive a fork (obstore ends with a segmentation
fault there, or waits for ever)."""


class ObjectStore:
    """The objects below `s3://bucket/prefix`, by names relative to it. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        """Connects to nothing. Raises `ExtraMissing`, `ObjectStoreError` for settings that are none, and in a process
        that was forked from one with such an object."""
        try:
            import obstore
            from obstore.store import S3Store
        except ModuleNotFoundError as error:
            raise ExtraMissing("A lake in an object store", "obstore", "s3") from error
        if _clients_of - {os.getpid()}:
            raise ObjectStoreError(
                f"This process was forked from one that uses the object store of {url}, whose client works in that one"
                " only. Start processes in another way (multiprocessing.get_context('spawn')), or use the lake after"
                " the fork first."
            )
        _clients_of.add(os.getpid())
        self.url = url
        self._obstore = obstore
        bucket, _, prefix = url.removeprefix("s3://").partition("/")

        def client(retry: Any) -> S3Store:
            return self._asking(
                lambda: S3Store(bucket, prefix=prefix or None, client_options=_CLIENT, retry_config=retry)
            )

        self._reading, self._writing = client(_READING), client(_WRITING)

    def list(self) -> dict[str, tuple[str, int]]:
        """ETag and size in bytes of every object, by name, in order. Raises `ObjectStoreError`."""
        found = self._asking(lambda: self._obstore.list(self._reading).collect())
        return {each["path"]: (each["e_tag"], each["size"]) for each in sorted(found, key=lambda one: one["path"])}

    def read(self, name: str, unless: str | None = None) -> tuple[Any, str] | None:
        """Content and ETag of an object; None where there is none. With `unless` an object of that ETag is not read:
        `NotModified` is raised. Raises `ObjectStoreError`."""
        try:
            answer = self._obstore.get(self._reading, name, options={"if_none_match": unless} if unless else {})
            return answer.bytes(), str(answer.meta["e_tag"])
        except self._obstore.exceptions.NotModifiedError:
            raise NotModified from None
        except (self._obstore.exceptions.BaseError, OSError) as error:
            if _is_absent(error):
                return None
            raise self._described(error) from error

    def replace(self, name: str, content: bytes, etag: str | None) -> str:
        """Write an object that has that ETag (None: that there is not); its new ETag.

        Raises `Replaced` where it has another one, `ObjectStoreError`. After either nothing was written, or it is not
        known (`Replaced.certain`): read anew and decide again.
        """
        if len(content) > _LARGEST_PUT:
            raise ObjectStoreError(f"{self.url}/{name} would be larger than 5 GiB, which one request cannot write.")
        mark = uuid.uuid4().hex
        mode: Any = "create" if etag is None else {"e_tag": etag}
        try:
            answer = self._obstore.put(
                self._writing, name, content, mode=mode, attributes={_MARK: mark}, use_multipart=False
            )
            return str(answer["e_tag"])
        except (self._obstore.exceptions.AlreadyExistsError, self._obstore.exceptions.PreconditionError):
            raise Replaced(certain=True) from None  # sent once: the answer is about this request
        except (self._obstore.exceptions.BaseError, OSError) as error:
            if _is_denied(error) or "NoSuchBucket" in str(error):
                raise self._described(error) from error
        present = self._asking(lambda: self._head(name))
        if present is not None and present[0] == mark:
            return present[1]
        raise Replaced(certain=False)

    def _head(self, name: str) -> tuple[str, str] | None:
        """Mark and ETag of an object."""
        try:
            answer = self._obstore.get(self._reading, name, options={"head": True})
        except FileNotFoundError as error:
            if _is_absent(error):
                return None
            raise
        return str(answer.attributes.get(_MARK, "")), str(answer.meta["e_tag"])

    def _asking(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._described(error) from error

    def _described(self, error: Exception) -> ObjectStoreError:
        """The error in one sentence that says what to do. It names no key."""
        if "NoSuchBucket" in str(error):
            bucket = self.url.removeprefix("s3://").partition("/")[0]
            return ObjectStoreError(
                f"There is no bucket {bucket}, in which TRADING_ASSETS_LAKE ({self.url}) puts the lake: make it, or"
                " correct the setting."
            )
        if _is_denied(error):
            return ObjectStoreError(
                f"The object store denies access to {self.url}: see that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                " (or the role of this machine) are right, and that they may list, read and write there."
            )
        first = str(error).partition("\n")[0].strip()
        return ObjectStoreError(
            f"The object store of {self.url} is unavailable: see that it runs and that AWS_ENDPOINT_URL and AWS_REGION"
            f" are right, then run the same again: what was written already is not written twice. ({first})"
        )


class NotModified(Exception):
    """The object still has the ETag that was named."""


def _is_absent(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)


def _is_denied(error: Exception) -> bool:
    return type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError") or bool(
        _DENIED.search(str(error).partition("Debug source")[0])
    )
