"""Every address of the console by its name, and which of them are whole pages: the browser walks through those."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

NAMESPACES = {"console", "accounts", "organization", "settings", "approvals", "agents", "sessions", "chat"}
QUERIES = {  # what an address is asked with
    "agents:server_try": "?tool=echo",
    "accounts:scopes": "?room=/agents",
    "console:ask_access": "?action=agent:update&ou={place}",
    "organization:explain": "?action=agent:update&ou={place}",
    "organization:why": "?action=agent:update&ou={place}",
}
# Whatever answers a GET with a whole page, by app; `test_matrix` knows the rest for parts, files and redirects.
_PAGES = {
    "console": (
        "home audit audit_chain audit_entry ask_access webhooks webhook_new webhook webhook_edit webhook_archive"
    ),
    "settings": "profile password tokens token_new keys",
    "organization": (
        "tree ou access ou_new ou_edit ou_archive users user user_new user_rename user_move groups group "
        "group_new group_edit group_archive roles role role_new role_edit role_archive bindings binding "
        "binding_new explain"
    ),
    "accounts": "device secrets secret_create secret secret_rotate secret_delete sign_in",
    "approvals": "list detail policies policy policy_new policy_edit",
    "agents": (
        "list detail create edit archive attach_skill attach_server server_settings servers server_gallery "
        "server_register deploy server server_edit server_destroy server_probe server_try deployment_policy "
        "deployment_config credentials credential_create credential credential_rotate credential_delete "
        "skills skill skill_create skill_edit skill_archive skill_upload skill_activate skill_grant"
    ),
    "chat": "start conversation",
    "sessions": "list detail",
}
PAGES = [f"{app}:{name}" for app, names in _PAGES.items() for name in names.split()]


def addresses(patterns: list[Any], namespace: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the name of every address with the names of its variable parts."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace in NAMESPACES | {None}:
            yield from addresses(pattern.url_patterns, pattern.namespace or namespace)
        elif isinstance(pattern, URLPattern) and pattern.name and namespace in NAMESPACES:
            yield f"{namespace}:{pattern.name}", list(pattern.pattern.converters)


PARTS = dict(addresses(get_resolver().url_patterns))


def address_of(name: str, things: dict[str, Any], *, place: str) -> str:
    """Return the address with these things in its variable parts, asked about an OU where it asks about one."""
    path = reverse(name, kwargs={part: things[part] for part in PARTS[name]})
    return path + QUERIES.get(name, "").format(place=place)
