"""The package as it is installed: what it depends on and why, what it says, what its commands load."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from trading_assets_tests.test_house import imports, modules

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "trading_assets"
PROJECT = (REPOSITORY / "pyproject.toml").read_text("utf-8")


def names(requirements: list[str]) -> set[str]:
    """The names of the packages, without versions and in lower case."""
    found = [re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements]
    return {re.sub(r"[._-]+", "-", match[0]).lower() for match in found if match}


def test_every_dependency_has_a_reason() -> None:
    """A comment on its own line; of an extra with one package, on the line of the extra or above it."""
    project = tomllib.loads(PROJECT)["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    lines = PROJECT[PROJECT.index("\ndependencies = [") : PROJECT.index("[project.scripts]")].splitlines()
    unexplained = []
    for requirement in [*project["dependencies"], *extras]:
        places = [number for number, line in enumerate(lines) if f'"{requirement}"' in line]
        assert places, requirement
        unexplained += [
            requirement
            for place in places
            if not re.search(r"  # \w", lines[place]) and not lines[place - 1].startswith("# ")
        ]
    assert unexplained == []


def test_every_dependency_is_pinned_and_what_is_heavy_is_an_extra() -> None:
    project = tomllib.loads(PROJECT)["project"]
    pins = names((REPOSITORY / "constraints.txt").read_text("utf-8").splitlines())
    extras = project["optional-dependencies"]
    assert names(project["dependencies"]) <= pins
    assert names([each for extra in extras.values() for each in extra]) <= pins
    assert not names(project["dependencies"]) & {"matplotlib", "polars", "scipy", "s3fs", "psycopg2-binary"}
    tested = ("pictures", "polars", "postgres")
    assert names([each for name in tested for each in extras[name]]) <= names(extras["dev"])


def test_every_package_that_is_imported_is_a_dependency() -> None:
    project = tomllib.loads(PROJECT)["project"]
    given = names([*project["dependencies"], *(each for e in project["optional-dependencies"].values() for each in e)])
    distributions = {
        "PIL": "pillow",
        "dateutil": "python-dateutil",
        "yaml": "pyyaml",
        "uvicorn": "dagster-webserver",
        "starlette": "dagster-webserver",
        "graphql": "dagster-webserver",
        "dagster_shared": "dagster",
        "redis": "celery",  # celery[redis]
        "watchdog": "dagster",
    }
    imported = {name.partition(".")[0] for tree in modules().values() for name in imports(tree)}
    imported -= set(sys.stdlib_module_names)
    packages = {name: re.sub("_", "-", distributions.get(name, name)).lower() for name in imported}
    assert {name for name, package in packages.items() if package not in given} == {"trading_assets"}


def test_the_package_names_no_target_of_the_makefile() -> None:
    """Who has installed the package has no Makefile."""
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)
    assert {"demo", "up", "test"} <= set(targets)
    call = re.compile(rf"\bmake ({'|'.join(targets)})\b(?! for\b)")
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sql", ".yaml", ".j2", ".html")]
    assert len(files) > 200
    assert [(path.name, found[0]) for path in files if (found := call.search(path.read_text("utf-8")))] == []


def test_the_demo_waits_for_no_tools_of_the_tests() -> None:
    def installed(target: str) -> list[str]:
        asked = ["make", "--dry-run", "VENV=/nonexistent", "UV=", "PYTHON=python3", target]
        said = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True).stdout
        return re.findall(r"--editable '\.\[(\w+)\]'", said)

    assert [installed(target) for target in ("demo", "up")] == [["pictures"]] * 2
    assert [installed(target) for target in ("test", "lint")] == [["pictures", "dev"]] * 2


def test_the_readme_recommends_a_client_library_and_says_why() -> None:
    readme = " ".join((REPOSITORY / "README.md").read_text("utf-8").split())
    assert "The client library is ib_insync, which is no longer developed. We recommend its maintained" in readme
    assert "pip install ib_async" in readme


def audited(tmp_path: Path, document: str, messages: str = "") -> tuple[int, str]:
    """Exit code and words of the verdict on what pip-audit wrote."""
    (tmp_path / "found.json").write_text(document, "utf-8")
    (tmp_path / "said.txt").write_text(messages, "utf-8")
    verdict = [REPOSITORY / ".ci" / "audit_verdict.py", tmp_path / "found.json", tmp_path / "said.txt"]
    done = subprocess.run([sys.executable, "-S", *verdict], capture_output=True, text=True, timeout=300, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def test_an_audit_that_looked_up_nothing_finds_nothing_and_says_so(tmp_path: Path) -> None:
    skipped = '{"name": "yarl", "skip_reason": "Dependency not found on PyPI and could not be audited: yarl (1.25.1)"}'
    clean = '{"name": "attrs", "version": "26.1", "vulns": []}'
    known = (
        '{"id": "PYSEC-2021-108", "fix_versions": ["1.26.5"], "aliases": ["CVE-2021-33503"], "description": "Text."}'
    )
    vulnerable = f'{{"name": "urllib3", "version": "1.26.4", "vulns": [{known}]}}'
    document = '{"dependencies": [%s], "fixes": []}'
    code, said = audited(tmp_path, document % skipped)
    assert (code, said) == (0, "The database of vulnerabilities was unreachable: none of 1 packages was audited.\n")
    code, said = audited(tmp_path, "", "WARNING: slow\nERROR:pip_audit._cli:connection refused")
    assert (code, said.startswith("The database of vulnerabilities was unreachable: nothing was audited. ERR")) == (
        0,
        True,
    )
    code, said = audited(tmp_path, document % f"{clean}, {skipped}")
    assert (code, said.splitlines()) == (
        0,
        ["1 of 2 packages were audited; 0 have known vulnerabilities.", "Not in the database: yarl."],
    )
    code, said = audited(tmp_path, document % f"{clean}, {vulnerable}")
    assert code == 1
    assert "urllib3 1.26.4: PYSEC-2021-108. Mended in: 1.26.5." in said


SLOW = ("matplotlib", "scipy", "numba", "polars", "apprise", "dagster", "prometheus_client")


def test_everyday_commands_load_nothing_that_is_slow(tmp_path: Path) -> None:
    """Matplotlib, numba and scipy take half a second each, Dagster two."""
    script = f"""import sys
import trading_assets
from trading_assets.cli.app import run
for arguments in (["--version"], ["query", "select 42 as answer"], ["status", "--no-probe"]):
    assert run(["--data-dir", sys.argv[1], *arguments]) in (0, 1), arguments
sys.stderr.write(" ".join(name for name in {SLOW!r} if name in sys.modules))"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
    )
    assert done.stderr == ""
    assert "42" in done.stdout
