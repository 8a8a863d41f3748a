"""The project's rules (docs: architecture): who may import what, who reads the environment, what importing does.

Read from the source itself, so that a new module that breaks a rule is named.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "trading_assets"


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module, by its path in the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


DAGSTER_LAYER = (
    "assets/",
    "checks/",
    "automation/",
    "resources/",
    "lineage/",
    "jobs/",
    "client/",
    "serving/",
    "definitions.py",
    "component.py",
)
"""Folders and modules that may import Dagster at the top; the command imports it inside its functions only."""

ABOVE = {"__init__.py", *DAGSTER_LAYER, "doctor/", "cli/"}

MAY_IMPORT = {
    "stored_calendar.py": (),
    "folders.py": (),
    "plain.py": (),
    "remedies.py": (),
    "errors.py": ("reliability", "remedies"),
    "bar_sizes.py": (),
    "extensions.py": (),
    "arguments/": ("sessions", "folders", "bar_sizes", "arguments"),
    "sessions.py": ("stored_calendar",),
    "setting_names.py": (),
    "setting_sources.py": (),
    "selection_rules.py": ("arguments",),
    "settings.py": (
        "arguments",
        "database_clock",
        "folders",
        "sessions",
        "setting_names",
        "setting_sources",
        "selection_rules",
        "broker_settings",
        "live_settings",
        "lake_settings",
        "launcher_settings",
        "maintenance_settings",
        "pricing_settings",
    ),
    "broker_settings.py": (),
    "live_settings.py": (),
    "lake_settings.py": ("folders",),
    "history_settings.py": ("setting_names",),
    "launcher_settings.py": ("history_settings",),
    "maintenance_settings.py": ("arguments",),
    "pricing_settings.py": (),
    "instrument.py": (),
    "machine.py": (),
    "mounts.py": (),
    "database_clock.py": (),
    "state/": (
        "database_clock",
        "folders",
        "machine",
        "mounts",
        "permissions",
        "repositories.identity",
        "repositories.provenance",
        "state",
    ),
    "universe.py": ("arguments", "instrument", "state"),
    "planning/": (
        "bar_sizes",
        "sessions",
        "instrument",
        "selection_rules",
        "planning",
        "broker.requests",
        "broker.payloads",
    ),
    "broker/": (
        "arguments",
        "sessions",
        "settings",
        "folders",
        "permissions",
        "instrument",
        "state",
        "broker",
        "reliability",
        "repositories.identity",
    ),
    "reliability/": ("reliability",),
    "repositories/": (
        "arguments",
        "folders",
        "machine",
        "sessions",
        "settings",
        "permissions",
        "instrument",
        "repositories",
    ),
    "archive_packages/": ("settings", "sessions", "permissions", "repositories", "archive_packages"),
    "pricing/": ("instrument", "pricing", "sessions"),
    "streaming/": (
        "simulator.embedded",
        "arguments",
        "planning.instruments",
        "sessions",
        "settings",
        "permissions",
        "universe",
        "instrument",
        "state",
        "broker",
        "pricing",
        "repositories",
        "reliability",
        "streaming",
    ),
    "trading/": (
        "arguments",
        "sessions",
        "settings",
        "permissions",
        "universe",
        "instrument",
        "state",
        "broker",
        "collecting",
        "pricing",
        "repositories",
        "reliability",
        "streaming",
        "trading",
    ),
    "simulator/": ("sessions", "settings", "simulator", "pricing"),
    "validation/": (
        "arguments",
        "extensions",
        "remedies",
        "sessions",
        "settings",
        "permissions",
        "universe",
        "instrument",
        "repositories",
        "state",
        "validation",
    ),
    "distribution/": (
        "arguments",
        "sessions",
        "settings",
        "universe",
        "state",
        "repositories",
        "broker.routing",
        "monitoring.agenda",
        "validation",
        "distribution",
    ),
    "monitoring/": (
        "arguments",
        "extensions",
        "remedies",
        "sessions",
        "settings",
        "permissions",
        "universe",
        "instrument",
        "state",
        "contract_changes",
        "repositories",
        "planning",
        "broker",
        "reliability",
        "streaming",
        "validation",
        "monitoring",
        "collecting.backoff",
    ),
    "lineage/": (
        "arguments",
        "sessions",
        "settings",
        "instrument",
        "state",
        "repositories",
        "planning.instruments",
        "broker.quarantine",
        "broker.requests",
        "resources",
        "definitions",
        "lineage",
    ),
    "monitoring/alerts/": (
        "arguments",
        "extensions",
        "remedies",
        "sessions",
        "settings",
        "permissions",
        "universe",
        "state",
        "repositories",
        "validation",
        "monitoring",
    ),
}
"""What the modules of a folder may import of ours."""

EVERYWHERE = ("errors", "plain")
"""What every folder may import beside that: the error tree, and records as plain values."""

LINES = 350
"""A module that grows longer has a second subject."""


def imports(tree: ast.AST, *, nested: bool = True) -> Iterator[str]:
    """Names of imported modules; without `nested` those of the module's own level (and of `if TYPE_CHECKING`, which
    runs nothing, none)."""
    nodes = ast.walk(tree) if nested else iter(getattr(tree, "body", ()))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_package(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def under(module: str, places: tuple[str, ...] | set[str]) -> bool:
    return any(module == place or (place.endswith("/") and module.startswith(place)) for place in places)


def test_the_package_was_found() -> None:
    assert len(modules()) > 100


def test_domain_code_knows_no_dagster() -> None:
    domain = {module: tree for module, tree in modules().items() if not under(module, ABOVE)}
    assert [
        module for module, tree in domain.items() if any(of_package(name, "dagster") for name in imports(tree))
    ] == []


def test_domain_code_imports_nothing_of_the_layers_above() -> None:
    layers = tuple(f"trading_assets.{place.rstrip('/').removesuffix('.py')}" for place in ABOVE)
    domain = {module: tree for module, tree in modules().items() if not under(module, ABOVE)}
    found = [
        (module, name)
        for module, tree in domain.items()
        for name in imports(tree)
        if any(of_package(name, layer) for layer in layers)
    ]
    assert found == []


def test_the_command_imports_dagster_only_inside_its_commands() -> None:
    command = {module: tree for module, tree in modules().items() if module.startswith("cli/")}
    heavy = (
        "dagster",
        *(
            f"trading_assets.{layer}"
            for layer in ("assets", "automation", "resources", "jobs", "lineage", "definitions")
        ),
    )
    found = [
        (module, name)
        for module, tree in command.items()
        for name in imports(tree, nested=False)
        if any(of_package(name, h) for h in heavy)
    ]
    assert found == []


def test_no_folder_imports_another_in_a_circle() -> None:
    """Inside of functions either."""
    folders: dict[str, set[str]] = {}
    for module, tree in modules().items():
        ours = {name.split(".")[1] for name in imports(tree) if name.startswith("trading_assets.")}
        place = module.partition("/")[0].removesuffix(".py")
        folders.setdefault(place, set()).update(ours - {place, "__version__"})
    assert len(list(TopologicalSorter(folders).static_order())) > 20, "a circle raises CycleError, which names it"


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_each_folder_imports_only_what_it_may(place: str) -> None:
    allowed = tuple(f"trading_assets.{name}" for name in MAY_IMPORT[place])
    found = [
        (module, name)
        for module, tree in modules().items()
        if under(module, (place,))
        for name in imports(tree)
        if name.startswith("trading_assets.")
        and name != "trading_assets.__version__"
        and not any(of_package(name, f"trading_assets.{leaf}") for leaf in EVERYWHERE)
        and not any(of_package(name, a) for a in allowed)
    ]
    assert found == []


def test_one_place_deletes_requests() -> None:
    """Rows of the lake name them: only a claim that was given up before it was sent may go."""
    deleting = []
    for module, tree in modules().items():
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "trading_assets.state.tables"
            for alias in node.names
            if alias.name == "requests"
        }
        text = (PACKAGE / module).read_text("utf-8").lower()
        deleting += [
            module
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "delete" and ast.unparse(node.value) in names
        ]
        deleting += [module] * len(re.findall(r"\b(?:delete from|truncate|drop table)\s+requests\b", text))
    assert deleting == ["broker/journal.py"]


def test_one_module_imports_the_client_library() -> None:
    libraries = ("ib_insync", "ib_async", "eventkit", "ibapi")
    found = {
        module
        for module, tree in modules().items()
        if any(of_package(name, library) for name in imports(tree) for library in libraries)
    }
    # The choice between the two libraries is made by name in one place.
    assert found == {"broker/library.py"}
    by_name = {module for module in modules() if "import_module(" in (PACKAGE / module).read_text("utf-8")}
    # The packages load their own modules late, and what is private to Dagster is loaded when it is asked for.
    late = {
        "__init__.py",
        "simulator/__init__.py",
        "repositories/__init__.py",
        "trading/__init__.py",
        "monitoring/__init__.py",
        "streaming/__init__.py",
        "resources/dagster_private.py",
        "automation/maintenance.py",  # of the jobs that run jobs of the definitions
    }
    assert by_name <= {"broker/library.py", *late}


def test_one_module_imports_dagsters_private_names() -> None:
    found = {
        module
        for module, tree in modules().items()
        if any(name.startswith(("dagster._", "dagster_shared")) for name in imports(tree))
    }
    assert found == {"resources/dagster_private.py"}


def test_only_settings_read_the_environment() -> None:
    readers = {
        (module, node.attr)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv", "putenv")
        and ast.unparse(node.value) == "os"
    }
    # What a child process inherits is no setting.
    handing_on = {("cli/serve.py", "environ"), ("serving/supervisor.py", "environ")}
    assert {("settings.py", "environ")} <= readers <= {("settings.py", "environ")} | handing_on
    assert not [module for module, tree in modules().items() if {"os.environ", "os.getenv"} & set(imports(tree))]


@pytest.mark.parametrize("module", ["cli/serve.py", "serving/supervisor.py"])
def test_what_starts_processes_only_hands_its_environment_on(module: str) -> None:
    copies = [
        ast.unparse(node)
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.Subscript | ast.Call)
        and ast.unparse(node).startswith(("os.environ[", "os.environ.get", "os.getenv"))
    ]
    assert copies == []


def test_nothing_prints() -> None:
    printing = [
        (module, node.lineno)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_module_says_what_it_is() -> None:
    silent = [module for module, tree in modules().items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_modules_stay_short() -> None:
    lengths = {module: len((PACKAGE / module).read_text("utf-8").splitlines()) for module in modules()}
    assert {module: length for module, length in lengths.items() if length > LINES} == {}


def test_no_error_is_swallowed() -> None:
    """A bare `except` or an `except Exception` raises again, but for the last resort of the command, two threads that
    hand an error over to whoever waits for their answer, the examination of answers (what an answer makes fail is in
    quarantine with the error), the steps of a maintenance (the error is in its report), a user's callbacks of a
    stream (the error is in its health), and the threads that write live data (the error is the writer's fault)."""
    broad = [
        (module, node.lineno)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    ]
    last_resorts = (
        "cli/app.py",
        "broker/writer.py",
        "simulator/worker.py",
        "collecting/quarantine.py",
        "jobs/maintenance/steps.py",
        "streaming/callbacks.py",
        "streaming/store/writer.py",
    )
    assert [(module, line) for module, line in broad if module not in last_resorts] == []


LOADING = """
import os, sys
from collections.abc import MutableMapping

opened, connected, read = [], [], []

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.append(os.fsdecode(arguments[0]))
    elif event == "socket.connect":
        connected.append(str(arguments[1]))

class Watched(MutableMapping):
    def __init__(self, real): self.real = real
    def __getitem__(self, name):
        read.append(name)
        return self.real[name]
    def __setitem__(self, name, value): self.real[name] = value
    def __delitem__(self, name): del self.real[name]
    def __iter__(self):
        read.append("*")
        return iter(self.real)
    def __len__(self): return len(self.real)
    def copy(self): return dict(self)

import dagster
sys.addaudithook(hook)
os.environ = Watched(os.environ)
import trading_assets.definitions
assert trading_assets.definitions.defs.resolve_all_job_defs()
os.environ = os.environ.real
import json
folder = sys.argv[1]
json.dump({
    "files": [name for name in opened if os.path.abspath(name).startswith(folder)],
    "connected": connected,
    "settings": [name for name in read if name == "TRADING_ASSETS" or name.startswith("TRADING_ASSETS_")],
    "slow": [name for name in ("matplotlib", "scipy", "numba", "polars", "apprise") if name in sys.modules],
}, sys.stdout)
"""


def test_loading_the_definitions_touches_nothing(tmp_path: Path) -> None:
    """No file of the data folder or of the working directory, no connection, no variable of ours, not even a wrong
    one; and none of the packages that take long to import."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")},
        "TRADING_ASSETS_DATA_DIR": str(tmp_path / "lake"),
        "TRADING_ASSETS_IB_PORT": "not a port",
        "PYTHONPATH": str(PACKAGE.parent),
    }
    (tmp_path / "trading_assets.toml").write_text("neither = [\n")
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"files": [], "connected": [], "settings": [], "slow": []}'
    assert [path.name for path in tmp_path.iterdir()] == ["trading_assets.toml"]


@pytest.mark.parametrize(
    "module",
    ["trading_assets.cli", "trading_assets.collecting", "trading_assets.repositories", "trading_assets.simulator"],
)
def test_importing_loads_no_dagster(module: str) -> None:
    ask = f"import sys, {module}; sys.exit('dagster' in sys.modules or 'ib_insync' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], timeout=300, check=False).returncode == 0
