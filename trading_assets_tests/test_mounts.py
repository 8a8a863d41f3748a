"""Folders on network file systems are known by the mount table, and no SQLite file is opened there."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets import mounts
from trading_assets.errors import NetworkFolder
from trading_assets.mounts import MOUNT_TABLE, Mount, mount_of, network_mount
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_state

TABLE = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:26 / /mnt rw shared:2 - autofs systemd-1 rw,fd=43
31 30 0:45 / /mnt/store rw,relatime shared:3 - nfs4 nas:/export rw,vers=4.2
32 31 254:1 / /mnt/store/fast rw,relatime - xfs /dev/vdb rw
33 22 0:50 / /srv/with\040space rw - cifs //nas/share rw
34 22 0:51 / /home/u/remote rw,nosuid - fuse.sshfs u@host:/data rw,user_id=1000
35 22 0:52 / /twice rw - nfs nas:/old rw
36 35 254:2 / /twice rw - ext4 /dev/vdc rw
37 22 0:53 / /c rw - 9p drvfs rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/mnt/storeroom/lake", "autofs"),
        ("/mnt/store", "nfs4"),
        ("/mnt/store/lake", "nfs4"),
        ("/mnt/store/fast/lake", "xfs"),
        ("/srv/with space/lake", "cifs"),
        ("/home/u/remote/a/b", "fuse.sshfs"),
        ("/twice/lake", "ext4"),
        ("/c/lake", "9p"),
    ],
)
def test_the_nearest_mount_holds_a_path(path: str, kind: str) -> None:
    found = mount_of(path, TABLE)
    assert found is not None and found.kind == kind


@pytest.mark.skipif(not MOUNT_TABLE.exists(), reason="this system has no mount table in /proc")
def test_this_machine_has_a_root_and_its_temporary_folders_are_local(tmp_path: Path) -> None:
    root = mount_of("/", MOUNT_TABLE.read_text())
    assert root is not None and root.point == "/"
    assert network_mount(tmp_path / "not there yet") is None


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_no_sqlite_file_is_opened_in_a_network_folder(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table").write_text(f"40 22 0:60 / {tmp_path} rw - {kind} nas:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNT_TABLE", tmp_path / "table")
    assert network_mount(tmp_path) == Mount(str(tmp_path), kind)
    settings = Settings(data_dir=tmp_path / "lake")
    with pytest.raises(NetworkFolder, match=f"{kind}, mounted at {tmp_path}.*TRADING_ASSETS_DATABASE_URL"):
        connect_state(settings.state_url)
    with pytest.raises(NetworkFolder), read_state(settings.state_url):
        pass
    assert not (tmp_path / "lake").exists(), "nothing was made"


def test_a_network_folder_is_no_hindrance_with_a_server(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table").write_text(f"40 22 0:60 / {tmp_path} rw - nfs4 nas:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNT_TABLE", tmp_path / "table")
    connect_state(Settings(data_dir=tmp_path / "lake", database_url=postgresql).state_url)
