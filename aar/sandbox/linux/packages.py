"""The Python packages that a training program sees: torch, transformers and all that they need, and its side of aar.

They are shown where they are installed, each at its own place below /packages; nothing else of site-packages is.

Covers: the rest of aar. A problem that is drawn has its labels in the program that draws it, so no program sees that.
Does not cover: a provider without a wall.
"""

import functools
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import aar
from aar.errors import SandboxError

PLACE = "/packages"
ROOTS = ("torch", "transformers", "safetensors", "numpy", "accelerate", "pydantic")
OWN = ("__init__.py", "errors.py", "guest", "models")
"""What is shown of aar."""


@functools.cache
def packages() -> dict[str, Path]:
    """Host files and folders by the path at which a training program finds them.

    Raises:
        SandboxError: one of the packages is not installed.
    """
    shown = {f"{PLACE}/aar/{name}": _aar() / name for name in OWN}
    for found in _closure():
        shown |= {f"{PLACE}/{name}": path for name, path in _top_level(found)}
    return shown


def package_folders() -> list[str]:
    """The host's folders in which the packages lie, for a provider that shows what is there as it is.

    Raises:
        SandboxError: one of the packages is not installed.
    """
    folders = {path.parent for found in _closure() for _, path in _top_level(found)}
    return sorted(map(str, {*folders, _aar().parent}))


def _aar() -> Path:
    return Path(aar.__file__).parent


def _closure() -> list[Distribution]:
    """The root packages and what they require here, themselves included, with the extras that they ask for."""
    from packaging.requirements import Requirement  # sandboxes that do not train are opened without it

    found: dict[tuple[str, str], Distribution] = {}
    wanted = [(name, "") for name in ROOTS]
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in found:
            continue
        found[name, extra] = _installed(name)
        for one in map(Requirement, found[name, extra].requires or ()):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                wanted += [(_normal(one.name), asked) for asked in ("", *one.extras)]
    return list({name: distribution for (name, _), distribution in found.items()}.values())


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise SandboxError(f"the package {name} is not installed; training programs need it. Run: make setup") from None


def _top_level(found: Distribution) -> Iterator[tuple[str, Path]]:
    """What a distribution has put into site-packages, without its scripts."""
    names = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
    for name in sorted(names):
        path = Path(str(found.locate_file(name)))
        if path.exists():
            yield name, path


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
