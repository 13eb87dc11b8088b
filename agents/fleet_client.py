"""The fleet's own client credential, by which the API knows who trades sessions' bearers. It opens nothing else."""

from __future__ import annotations

from powerloom.kernel.keys import keyed_hash

PREFIX = "plf_"


def credential() -> str:
    """Return the credential. Every process with our secret key knows it, and alone it is good for nothing: a session's
    bearer has to come with it.
    """
    return PREFIX + keyed_hash("fleet-client", "")
