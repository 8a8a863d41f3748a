"""Lakes in an S3 server of the tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trading_assets.folders import LakeLocation, set_lake_location
from trading_assets_tests.object_store.server import environment, seaweedfs

COPY_BYTES = 2**30


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 server."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture
def store_url(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new lake on it, which this process can use."""
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    return f"s3://lake/{uuid.uuid4().hex}"


@pytest.fixture
def machine(store_url: str, tmp_path: Path) -> Callable[[str], Path]:
    """Makes data folders of the lake, as of several machines."""

    def made(name: str) -> Path:
        return folder_of(tmp_path / name, store_url)

    return made


def folder_of(folder: Path, url: str) -> Path:
    """A data folder whose lake is in the object store."""
    set_lake_location(folder, LakeLocation(url, COPY_BYTES))
    return folder
