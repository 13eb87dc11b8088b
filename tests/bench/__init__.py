"""The speed that is promised, measured as ratios: each against something plain, side by side in one run, so that the
machine does not matter.

A module here is a bench. Its functions marked `@measured` run in a process of their own, with a data folder, a migrated
SQLite database and Django's settings of the tests, and return ratios:

    from tests.bench.measure import Ratio, measured

    @measured
    def idle() -> list[Ratio]:
        return [Ratio("idle tick, 100,000 rows to 1,000", slow / fast, at_most=1.2)]
"""
