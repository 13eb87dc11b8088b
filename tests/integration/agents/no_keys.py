"""A provider that holds no master key, for values that cannot be opened."""

from powerloom.kernel.envelope import KeyMissing, MasterKey


class NoKeys:
    def current(self) -> MasterKey:
        raise KeyMissing

    def named(self, key_id: str) -> MasterKey:
        raise KeyMissing(key_id)

    def rotate(self) -> MasterKey:
        raise KeyMissing


def nothing() -> NoKeys:
    return NoKeys()
