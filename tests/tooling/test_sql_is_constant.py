"""SQL texts are made while modules load, so that none can carry what a user passed."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
MODULES = sorted(SOURCE.rglob("*.py"))


def sql_inside_functions(module: str) -> list[int]:
    """The lines on which a function of the module calls ``sql()``."""
    return [
        call.lineno
        for function in ast.walk(ast.parse(module))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "sql"
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_function_makes_sql(path):
    assert sql_inside_functions(path.read_text()) == []


def test_sql_made_in_a_function_is_found():
    assert sql_inside_functions("A = sql('SELECT 1')\ndef f(x):\n    return sql(x)\n") == [3]
