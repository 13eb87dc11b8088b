"""Print style and error findings of Python files, one a line: `file:line: message`. Standard library only."""

import ast
import sys
from pathlib import Path


def findings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except also catches KeyboardInterrupt; name the exceptions"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for default in node.args.defaults:
                if isinstance(default, ast.List | ast.Dict | ast.Set):
                    yield default.lineno, f"{node.name}() shares this mutable default between calls"
        if isinstance(node, ast.Compare) and compares_with_none(node):
            yield node.lineno, "compare with None by `is`"


def compares_with_none(node):
    by_value = any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
    return by_value and any(isinstance(value, ast.Constant) and value.value is None for value in node.comparators)


def main(paths):
    for path in paths:
        try:
            tree = ast.parse(Path(path).read_text(), path)
        except SyntaxError as error:
            print(f"{path}:{error.lineno}: {error.msg}")
            continue
        for line, message in sorted(findings(tree)):
            print(f"{path}:{line}: {message}")


if __name__ == "__main__":
    main(sys.argv[1:])
