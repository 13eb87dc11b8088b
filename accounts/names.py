"""What names and texts look like, for commands and bodies alike (the manifest wire's rules)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import AfterValidator, AwareDatetime, Field

from powerloom.web.egress import Way, judge

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


LABELS = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def _a_host_pattern(value: str) -> str:
    pattern = value.rstrip(".").lower()
    if any(character in value for character in "/@?#\\") or re.search(r":\d*$", value.partition("::")[0]):
        raise ValueError("name the host alone: no scheme, no port, no path")
    host = pattern.removeprefix("*.")
    if "*" in host:
        raise ValueError("a star stands first, before a dot, for everything below a host: *.acme.internal")
    try:
        address = str(ip_address(host))
    except ValueError:
        return _a_name(pattern, host)
    if pattern != host:
        raise ValueError("an address has nothing below it; name it alone")
    if not judge(address, address, Way()):
        raise ValueError("this address is public and needs no rule")
    if fault := judge(address, address, Way((address,))):
        raise ValueError(fault)
    return address


def _a_name(pattern: str, host: str) -> str:
    if not host.isascii():
        raise ValueError("write the host in its ASCII form, as DNS knows it: xn--…")
    if host == "localhost" or host.endswith(".localhost"):
        raise ValueError("no rule opens this machine itself")
    if not LABELS.fullmatch(host) or host.rpartition(".")[2].isdigit():
        raise ValueError("this is not the name of a host; tools.acme.internal is, and *.acme.internal means all below")
    return pattern


HostPattern = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_a_host_pattern)]
