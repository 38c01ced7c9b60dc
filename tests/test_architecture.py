"""The house rules that a reader relies on, checked on the source: which way imports point, and what is never done."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aar
from aar.sandbox.linux.training import OWN

ROOT = Path(aar.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = (
    ("guest",), ("", "errors"), ("text",), ("assets",), ("models",), ("config",), ("storage",), ("untrusted_files",),
    ("logs",), ("metrics",), ("ray_utils",), ("problems",), ("methods",), ("budget",), ("compute",), ("commons",),
    ("sandbox",), ("scoring",), ("experiments",), ("researchers",), ("campaign",), ("gateway",), ("reporting",),
    ("mock_api",), ("cli", "__main__"),
)  # fmt: skip
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
KNOW_NO_RAY = (
    "guest", "errors.py", "text.py", "logs.py", "config.py", "assets.py", "storage.py", "untrusted_files.py", "budget",
    "problems", "models", "sandbox", "methods", "reporting",
)  # fmt: skip
RAY_ONLY_IN = {
    "scoring": {"actor.py"}, "commons": {"actor.py"}, "experiments": {"actor.py", "program_scheduler.py"},
    "researchers": {"actor.py", "ray_client.py"}, "compute": {"actor.py", "worker.py"},
}  # fmt: skip


def place(file: Path) -> str:
    return str(file.relative_to(ROOT))


def part_of(module: str) -> str:
    """`aar.models.lora` -> `models`."""
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; `from aar import x` counts as `aar.x`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(file)} has a relative import"
            names = [node.module or ""]
            yield from [f"aar.{alias.name}" for alias in node.names] if names == ["aar"] else names


def imports_of(file: Path, package: str) -> set[str]:
    return {module for module in imports(file) if module.split(".")[0] == package}


def nodes(kind: type[ast.AST]) -> list[tuple[str, ast.AST]]:
    trees = [(place(file), ast.parse(file.read_text())) for file in FILES]
    return [(where, node) for where, tree in trees for node in ast.walk(tree) if isinstance(node, kind)]


def called(node: ast.AST) -> str:
    assert isinstance(node, ast.Call)
    return ast.unparse(node.func)


@pytest.mark.parametrize("file", FILES, ids=place)
def test_imports_point_down(file: Path) -> None:
    own = part_of("aar." + place(file).removesuffix(".py").replace("/", "."))
    for module in imports_of(file, "aar"):
        lazily = place(file) == "guest/training_task.py" and part_of(module) == "models"
        assert lazily or LEVEL[part_of(module)] <= LEVEL.get(own, -1), f"{place(file)} imports {module}"


@pytest.mark.parametrize("file", sorted((ROOT / "guest").glob("*.py")), ids=place)
def test_what_runs_in_a_sandbox_imports_itself_the_standard_library_and_numpy_alone(file: Path) -> None:
    """But for training programs, which are shown `aar.models` and torch too, and load them when they need them."""
    trains = file.name == "training_task.py"
    loaded_at_once = {*sys.stdlib_module_names, "numpy"}
    for module in imports(file):
        own = module == "aar.guest" or module.startswith("aar.guest.")
        models = trains and (module.startswith("aar.models.") or module in {"torch", "safetensors.torch"})
        assert own or models or module.split(".")[0] in loaded_at_once, module


def test_sandboxes_are_shown_of_aar_the_guest_and_what_training_needs() -> None:
    assert OWN == ("__init__.py", "errors.py", "guest", "models")


@pytest.mark.parametrize("file", sorted((ROOT / "models").glob("*.py")), ids=place)
def test_models_know_errors_alone(file: Path) -> None:
    allowed = {"errors", "models"} | ({"assets"} if file.name == "catalog.py" else set())
    assert {part_of(module) for module in imports_of(file, "aar")} <= allowed


@pytest.mark.parametrize("file", sorted((ROOT / "methods").glob("[!_]*.py")), ids=place)
def test_a_method_knows_nothing_of_aar(file: Path) -> None:
    assert not imports_of(file, "aar")
    roots = {module.split(".")[0] for module in imports(file)}
    assert roots <= {*sys.stdlib_module_names, "numpy"}


@pytest.mark.parametrize("file", FILES, ids=place)
def test_only_actors_and_what_starts_them_know_ray(file: Path) -> None:
    part, *rest = Path(place(file)).parts
    if part in KNOW_NO_RAY or (part in RAY_ONLY_IN and rest[-1] not in RAY_ONLY_IN[part]):
        assert not imports_of(file, "ray")


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a new interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "module",
    ["aar.campaign.state", "aar.cli", "aar.config", "aar.commons.forum", "aar.scoring.store", "aar.scoring.stats.pgr"],
)
def test_what_only_reads_a_campaign_starts_without_torch_and_ray(module: str) -> None:
    assert modules_after(f"import {module}").isdisjoint({"torch", "transformers", "ray", "deepspeed"})


def test_the_guest_starts_with_numpy_alone() -> None:
    loaded = modules_after("import aar.guest.run_method")
    assert "numpy" in loaded
    assert loaded.isdisjoint({"torch", "ray", "pydantic", "scipy"})


def test_models_work_without_ray() -> None:
    loaded = modules_after("import aar.models.inference, aar.models.student, aar.compute.executor")
    assert "torch" in loaded
    assert "ray" not in loaded


BOUNDARIES = ("commons/foreign.py", "researchers/tools/executor.py", "campaign/audit.py", "campaign/team.py", "logs.py")
"""Where foreign input is parsed or a researcher's fault ends: it becomes an answer, an event, or a printable error."""


def test_no_error_is_swallowed_whole() -> None:
    for where, node in nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        caught = ast.unparse(node.type) if node.type else "everything"
        names = {name.strip("() ") for name in caught.split(",")}
        forbidden = {"everything"} if where in BOUNDARIES else {"Exception", "everything"}
        assert names.isdisjoint(forbidden), f"{where}:{node.lineno} catches {caught}"
        if "BaseException" in names:
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert raises or where == "guest/run_method.py", f"{where}:{node.lineno} catches and keeps BaseException"


def test_nothing_is_unpickled() -> None:
    for file in FILES:
        roots = {module.split(".")[0] for module in imports(file)}
        assert roots.isdisjoint({"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}), place(file)


def test_arrays_are_read_without_pickle() -> None:
    for where, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        assert called(node) != "torch.load", f"{where}:{node.lineno}"
        if called(node) in {"np.load", "np.save", "numpy.load", "numpy.save", "np.lib.format.read_array"}:
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("allow_pickle") == "False", f"{where}:{node.lineno} may unpickle"


def test_only_the_runner_inside_the_sandbox_executes_code() -> None:
    for where, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if called(node) in {"exec", "eval", "__import__", "runpy.run_path", "importlib.import_module"}:
            assert where == "guest/run_method.py", f"{where}:{node.lineno} calls {called(node)}"


def test_no_command_goes_through_a_shell() -> None:
    for where, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        assert called(node) not in {"os.system", "os.popen"}, f"{where}:{node.lineno}"
        assert "shell" not in {keyword.arg for keyword in node.keywords}, f"{where}:{node.lineno}"


DOCUMENT = (ROOT.parent / "docs" / "ARCHITECTURE.md").read_text()


def documented_layers() -> list[list[str]]:
    """The lines of the document's list of layers, in words."""
    listing = DOCUMENT.split("## Layers")[1].split("```")[1]
    return [line.split() for line in listing.strip().splitlines()]


def test_the_document_lists_the_layers_as_they_are() -> None:
    layers = [layer for layer in reversed(LAYERS) if layer != ("", "errors")] + [("errors",)]
    expected = [layer[0] for layer in sorted(layers, key=lambda layer: -LEVEL[layer[0]])]
    assert [words[0] for words in documented_layers()] == expected


@pytest.mark.parametrize("words", documented_layers(), ids=lambda words: words[0])
def test_what_the_document_names_in_a_layer_exists(words: list[str]) -> None:
    package, *parts = words
    for part in (word.strip(",/") for word in parts):
        assert (ROOT / package / part).is_dir() or (ROOT / package / f"{part}.py").is_file(), f"{package}/{part}"


def test_every_module_that_the_document_names_exists() -> None:
    packages = {file.parts[0] for file in map(Path, map(place, FILES)) if len(file.parts) > 1}
    names = re.findall(r"`(?:aar\.)?([a-z_]+(?:\.[a-zA-Z_]+)+)`", DOCUMENT)
    modules = [name for name in names if name.split(".")[0] in packages]
    assert len(modules) > 20
    for name in modules:
        file = ROOT / name.replace(".", "/")
        parent = file.parent.with_suffix(".py")  # the name of something in a module
        assert file.with_suffix(".py").is_file() or file.is_dir() or parent.is_file(), name


def test_every_file_that_the_readme_names_exists() -> None:
    text = (ROOT.parent / "README.md").read_text()
    named = re.findall(r"[`(]((?:aar|benchmarks|docs|examples|jobs|tests)/[\w./-]+)[`)]", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT.parent / name).exists()] == []


def test_every_module_says_what_it_is() -> None:
    for file in FILES:
        if file.read_text().strip():
            assert ast.get_docstring(ast.parse(file.read_text())), f"{place(file)} has no docstring"
