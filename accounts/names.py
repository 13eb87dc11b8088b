"""What names and texts look like, for commands and bodies alike (the manifest wire's rules)."""

from __future__ import annotations

from typing import Annotated

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import AfterValidator, AwareDatetime, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
RoleName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
DisplayName = Annotated[str, Field(min_length=1, max_length=255)]
Description = Annotated[str, Field(max_length=1024)]
Moment = AwareDatetime


def _an_address(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError as error:
        raise ValueError("this is not an e-mail address") from error
    return value


Email = Annotated[str, Field(max_length=254), AfterValidator(_an_address)]
