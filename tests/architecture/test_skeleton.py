"""The six services have one skeleton: a reader of one finds everything in the others."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "product", "cart", "order", "payment", "notification")
SKELETON = ("main", "settings", "api", "schemas", "saga", "domain", "store", "tables", "jobs", "operations")
TEST_FOLDERS = {"domain", "steps", "integration", "contract"}
MAIN_LINES = 65

# Modules that a service has no use for, and why.
ABSENT = {
    ("payment", "api"): "its only route is in webhooks.py",
    ("payment", "schemas"): "its only route takes the provider's signed bytes, and answers without a body",
    ("notification", "api"): "it has no routes",
    ("notification", "schemas"): "it has no routes",
}
# Modules with routes of one subject, which they are named for.
ROUTED_SUBJECTS: dict[str, set[str]] = {"payment": {"webhooks"}}

Rule = Callable[[str], list[str]]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    RULES.append(check)
    return check


def modules(service: str) -> Iterator[tuple[str, ast.Module]]:
    """The service's modules but for its migrations, by name."""
    for file in sorted((ROOT / service / "src" / service).glob("*.py")):
        yield file.stem, ast.parse(file.read_text())


def name_of(node: ast.expr) -> str:
    """The last name of `Job`, `jobs.Job`, `Job[int]` and `Job(…)`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return name_of(inner)
    return ""


def calls(service: str, *names: str, outside: Callable[[str], bool]) -> list[str]:
    return [
        f"{module}.py:{node.lineno}: {name_of(node)}"
        for module, tree in modules(service)
        if outside(module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node) in names
    ]


@rule
def it_has_every_module(service: str) -> list[str]:
    there = {name for name, _ in modules(service)}
    absent = {name for owner, name in ABSENT if owner == service}
    return [f"{name}.py is missing" for name in SKELETON if name not in there | absent] + [
        f"{name}.py is there: it needs no exception" for name in sorted(absent & there)
    ]


@rule
def http_models_are_in_schemas(service: str) -> list[str]:
    return [
        f"{module}.py:{node.lineno}: {node.name}"
        for module, tree in modules(service)
        if module != "schemas" and not module.endswith("_schemas")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and {"BaseModel", "Body"} & {name_of(base) for base in node.bases}
    ]


@rule
def routes_are_in_api(service: str) -> list[str]:
    subjects = ROUTED_SUBJECTS.get(service, set())
    found = calls(service, "APIRouter", outside=lambda name: name != "api" and not name.endswith("_api"))
    routed = {place.partition(".")[0] for place in found}
    return [place for place in found if place.partition(".")[0] not in subjects] + [
        f"{name}.py has no routes: it needs no exception" for name in sorted(subjects - routed)
    ]


@rule
def jobs_are_made_in_jobs(service: str) -> list[str]:
    return calls(service, "Job", "Rule", "retention", outside=lambda module: module != "jobs")


@rule
def tables_are_in_tables(service: str) -> list[str]:
    return calls(service, "Table", outside=lambda module: module != "tables")


@rule
def steps_are_registered_in_saga(service: str) -> list[str]:
    return calls(service, "Steps", "Intents", "Participant", outside=lambda module: module != "saga") + [
        f"{module}.py:{node.lineno}: {node.name}"
        for module, tree in modules(service)
        if module != "saga"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if name_of(decorator) in ("on", "on_outcome")
    ]


@rule
def main_only_declares(service: str) -> list[str]:
    """It imports, and it has `build`, which goes straight on to the components, and `service`."""
    text = (ROOT / service / "src" / service / "main.py").read_text()
    tree = ast.parse(text)
    found = [f"{len(text.splitlines())} lines"] if len(text.splitlines()) > MAIN_LINES else []
    for node in tree.body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                pass
            case ast.FunctionDef(name="build"):
                found += [
                    f"main.py:{inner.lineno}: {type(inner).__name__} in build"
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.stmt)
                    and inner is not node
                    and not isinstance(inner, ast.Assign | ast.Return)
                ]
            case ast.Assign(targets=[ast.Name(id="service")]):
                pass
            case _:
                found.append(f"main.py:{node.lineno}: {type(node).__name__}")
    return found


@rule
def four_folders_hold_the_tests(service: str) -> list[str]:
    tests = ROOT / service / "tests"
    return [
        str(file.relative_to(ROOT))
        for file in sorted(tests.rglob("test_*.py"))
        if len(file.relative_to(tests).parts) != 2 or file.parent.name not in TEST_FOLDERS
    ]


@rule
def domain_tests_are_plain_functions(service: str) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{node.lineno}: async"
        for file in sorted((ROOT / service / "tests/domain").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_skeleton_of_all(service: str, check: Rule) -> None:
    assert check(service) == []


def test_every_service_is_in_this_test() -> None:
    assert {file.parts[-4] for file in ROOT.glob("*/src/*/saga.py")} - {"contracts"} == set(SERVICES)
