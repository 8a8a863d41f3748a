"""Writes the list of public names, docs/api.md, from the package itself: `python -m trading_assets_tests.api_page`."""

from __future__ import annotations

import ast
import enum
import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "api.md"

MODULES = (
    "trading_assets",
    "trading_assets.jobs",
    "trading_assets.repositories",
    "trading_assets.client",
    "trading_assets.validation",
    "trading_assets.monitoring",
    "trading_assets.monitoring.alerts",
    "trading_assets.lineage",
    "trading_assets.streaming",
    "trading_assets.trading",
    "trading_assets.pricing",
    "trading_assets.backup",
    "trading_assets.doctor",
    "trading_assets.reliability",
    "trading_assets.simulator",
    "trading_assets.simulator.generated",
    "trading_assets.simulator.recorded",
    "trading_assets.simulator.corporate_actions",
    "trading_assets.settings",
    "trading_assets.sessions",
    "trading_assets.universe",
    "trading_assets.definitions",
    "trading_assets.errors",
)
"""The public modules."""

HEAD = """# The Python API

The public names of each public module, with their signatures and what they are. What is not here may change in any
version. The package itself has the everyday ones, imported when they are first used: `import trading_assets as ta`,
then `ta.connect("data")`. Docstrings say shapes, columns, units, time zones and errors: `help(ta.connect)`.
[guide.md](guide.md) shows them at work.

This page is written by `python -m trading_assets_tests.api_page` from each module's `__all__`, and held by a test.
"""


def page() -> str:
    """The page as it should be."""
    shown: dict[int, str] = {}
    return "\n".join([HEAD, *(_section(name, shown) for name in MODULES)])


def _section(name: str, shown: dict[int, str]) -> str:
    """The names of a module; `shown` has the classes that were described, by identity, and where."""
    module = import_module(name)
    rows = [f"## {name}\n", f"{_sentence(module.__doc__)}\n", "| name | what it is |", "| --- | --- |"]
    for public in module.__all__:
        found = getattr(module, public, None) or import_module(f"{name}.{public}")
        before = shown.setdefault(id(found), name) if inspect.isclass(found) or inspect.isroutine(found) else name
        if before != name:
            rows.append(f"| {_code(public)} | As in {before}. |")
            continue
        rows.append(f"| {_code(public + _signature(found))} | {_cell(_described(module.__name__, public, found))} |")
        rows += [f"| {_code(f'{public}.{method}')} | {_cell(text)} |" for method, text in _methods(found)]
    return "\n".join([*rows, ""])


def _described(module: str, name: str, found: Any) -> str:
    if inspect.ismodule(found):
        return f"The module {found.__name__}. {_sentence(found.__doc__)}"
    if inspect.isclass(found) or inspect.isroutine(found):
        home = getattr(found, "__module__", "")
        if not home.startswith("trading_assets"):
            return "A type."
        return _sentence(found.__doc__)
    return _constant(module, name) or _sentence(type(found).__doc__)


def _signature(found: Any) -> str:
    """What a call needs; nothing of modules, errors, enumerations, settings and constants."""
    if inspect.isclass(found) and issubclass(found, BaseException | enum.Enum | BaseModel):
        return ""
    if not (inspect.isclass(found) or inspect.isroutine(found)) or getattr(found, "_is_protocol", False):
        return ""
    if not getattr(found, "__module__", "").startswith("trading_assets"):
        return ""
    return _call(found)


def _call(found: Any) -> str:
    signature = inspect.signature(found)
    given = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls") and not name.startswith("_")
    ]
    text = str(signature.replace(parameters=given, return_annotation=inspect.Signature.empty))
    return re.sub(r"<(?:\w+\.)*(\w+\.\w+): [^>]*>|<([^>]*)>", lambda default: default[1] or "...", text)


def _methods(found: Any) -> list[tuple[str, str]]:
    """Public methods of our own classes, those of our own bases among them; of data and errors none."""
    if not inspect.isclass(found) or issubclass(found, BaseException | enum.Enum | BaseModel | tuple):
        return []
    methods = []
    for name, member in inspect.getmembers(found):
        home = getattr(inspect.unwrap(member), "__module__", "") or ""
        if inspect.isroutine(member) and not name.startswith("_") and home.startswith("trading_assets"):
            methods.append((name + _call(member), _sentence(member.__doc__)))
    return methods


def _sentence(docstring: str | None) -> str:
    """The first sentence of a docstring."""
    text = " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[a-z0-9)`'\]]\.)\s+(?=[A-Z`])", text, maxsplit=1)[0]


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(Path(str(inspect.getsourcefile(import_module(module)))).read_text("utf-8"))


def _constant(module: str, name: str) -> str:
    """The sentence below an assignment, in the module or where it imports the name from."""
    body = _tree(module).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if name in [getattr(target, "id", "") for target in targets]:
            said = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            return _sentence(str(following.value.value)) if said else ""  # type: ignore[union-attr]
        if isinstance(node, ast.ImportFrom) and name in [alias.asname or alias.name for alias in node.names]:
            return _constant(str(node.module), name)
    return ""


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
