"""What a good password is, and how one travels: checked and hashed at the edge, sealed as a hash for the command."""

from __future__ import annotations

import secrets
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts import sealing
from accounts.commands.passwords import SEALED
from accounts.models import User
from accounts.sign_in import LONGEST_PASSWORD
from powerloom.kernel.errors import Invalid


def minted() -> str:
    """Return a first password for somebody: 120 random bits, to be shown once."""
    return secrets.token_urlsafe(15)


def sealed_hash(password: str, user: User) -> UUID:
    """Return the id of the sealed hash of a password for this user. Raises `Invalid` when the password is a bad one."""
    if len(password) > LONGEST_PASSWORD:
        raise Invalid(f"A password has at most {LONGEST_PASSWORD} characters.", field="new_password")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="new_password") from None
    assert user.organization_id is not None, "only users of an organization have passwords set by commands"
    return sealing.seal(make_password(password), kind=SEALED, organization_id=user.organization_id)
