"""The command's standard streams: what cannot be written there is one sentence, and never the result of the command.

A reader that stops reading (`| head`), a full device and a closed stream say nothing about the archive, and a terminal
that cannot show a letter shows its code instead.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO, cast

_PIECE = 8192
"""Characters or bytes written at once. With PYTHONUNBUFFERED Python does not notice that a longer write into a pipe was
cut off."""


class Lenient:
    """A text stream that goes on when it cannot be written to: the first `error` is kept, and what follows is
    dropped."""

    def __init__(self, stream: TextIO | None) -> None:
        self.error: OSError | None = None if stream is not None else OSError(errno.EBADF, "it is closed")
        self._stream = stream if stream is not None else io.StringIO()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write, or drop the text. Raises `TypeError` for bytes: that is how libraries find out that this is a text
        stream."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.error is None:
            try:
                for begin in range(0, len(text), _PIECE):
                    self._stream.write(text[begin : begin + _PIECE])
            except OSError as error:
                self._failed(error)
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Write bytes behind the text that was written, or drop them."""
        self.flush()
        if self.error is None:
            try:
                for begin in range(0, len(content), _PIECE):
                    self._stream.buffer.write(content[begin : begin + _PIECE])
                self._stream.buffer.flush()
            except OSError as error:
                self._failed(error)

    def flush(self) -> None:
        """Hand on what is buffered, or drop it."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _failed(self, error: OSError) -> None:
        """What is still buffered would fail again when the interpreter ends: it goes nowhere instead."""
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def make_lenient() -> Lenient:
    """Replace the standard streams by lenient ones. Returns standard output's."""
    _occupy_closed_descriptors()
    output = Lenient(sys.stdout)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, Lenient(sys.stderr))
    return output


def write_bytes(content: bytes) -> None:
    """Write bytes to standard output."""
    output = sys.stdout if isinstance(sys.stdout, Lenient) else Lenient(sys.stdout)
    output.write_bytes(content)


def _occupy_closed_descriptors() -> None:
    """The next file that is opened takes the lowest free number: a database must not become what libraries print on."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def sentence(error: OSError) -> str:
    """What is said of an output that was not written."""
    if error.errno == errno.EPIPE:
        return "The output was not read to its end; the command itself did all it was to do."
    return (
        f"The output could not be written ({error.strerror}); the command itself did all it was to do, and its exit"
        " code is the command's."
    )
