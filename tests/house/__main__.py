"""Checks the house rules: `python -m tests.house`. Exits with 1 when one is broken."""

import sys

from tests.house.rules import check
from tests.house.source import sources


def main() -> int:
    findings = [(source, rule, finding) for source in sources() for rule, finding in check(source)]
    for source, rule, finding in findings:
        print(f"{source.name}:{finding.line}: {rule.__name__.replace('_', ' ')}: {finding.advice}")
    print(f"{len(findings)} found" if findings else "The house rules are kept.")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
