"""The port and the data folder: had by one `up` at a time, free again as soon as its processes have ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trading_assets.errors import PlaceTaken
from trading_assets.serving import place
from trading_assets.serving.place import hold, listen

HOLD = """
import os, sys, time
from pathlib import Path
from trading_assets.serving.place import hold
hold(Path(sys.argv[1]))
sys.stdout.write("held\\n"); sys.stdout.flush()
sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_held_by_one_process_and_the_sentence_names_it(tmp_path: Path) -> None:
    other = holder(tmp_path)
    with pytest.raises(
        PlaceTaken,
        match=(
            rf"^{tmp_path} is served already by trading-assets up \(process {other.pid}\): use that one, or stop it"
            r" first\.$"
        ),
    ):
        hold(tmp_path)
    os.close(hold(tmp_path / "another"))
    other.communicate()
    os.close(hold(tmp_path))


def test_machines_that_share_a_history_hold_a_common_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = hold(tmp_path, shared=True)
    with pytest.raises(PlaceTaken, match=f"process {os.getpid()}"):
        hold(tmp_path, shared=True)
    monkeypatch.setattr(place, "this_host", lambda: "another#0123456789.pid")
    os.close(hold(tmp_path, shared=True))
    os.close(mine)


def test_a_shared_history_is_not_begun_beside_an_up_with_one_of_its_own(tmp_path: Path) -> None:
    other = holder(tmp_path)
    with pytest.raises(PlaceTaken, match=f"process {other.pid}"):
        hold(tmp_path, shared=True)
    other.communicate()
    os.close(hold(tmp_path, shared=True))


def test_a_killed_process_holds_nothing_and_its_lock_file_does_not_matter(tmp_path: Path) -> None:
    other = holder(tmp_path)
    other.kill()
    other.communicate()
    assert (tmp_path / ".locks" / "up.lock").read_text() == str(other.pid)
    descriptor = hold(tmp_path)
    assert (tmp_path / ".locks" / "up.lock").read_text() == str(os.getpid())
    os.close(descriptor)


def test_a_process_that_inherited_the_lock_holds_it(tmp_path: Path) -> None:
    descriptor = hold(tmp_path)
    heir = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(descriptor,)
    )
    os.close(descriptor)
    with pytest.raises(PlaceTaken, match=f"process {os.getpid()}"):
        hold(tmp_path)
    heir.communicate()
    os.close(hold(tmp_path))


def test_a_busy_port_is_told() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            PlaceTaken,
            match=(
                rf"^Port {port} on 127\.0\.0\.1 is in use by another program: end it, or choose another port with"
                r" --port\.$"
            ),
        ):
            listen("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)):
            pass
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(
        PlaceTaken, match=rf"^{host} port 3999 cannot be served \(.*\): choose others with --host and --port\.$"
    ):
        listen(host, 3999)
