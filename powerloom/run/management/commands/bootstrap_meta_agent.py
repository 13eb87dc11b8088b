"""`manage.py bootstrap_meta_agent`: set up the meta-agent of an organization, here or at a server elsewhere."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import CommandError

from accounts.models import User
from accounts.tokens import sign_in_token
from powerloom.kernel.pageless import PagelessCommand
from powerloom.run import bootstrap
from powerloom.run.bootstrap import Bootstrap, BootstrapFailed, Wanted
from powerloom.web.text import visible


class Command(PagelessCommand):
    help = "Deploy Powerloom's own MCP server, and create the agent that uses it. Running it twice changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--admin-email", required=True, help="who does it; the agent is this person's")
        parser.add_argument("--ou-path", required=True, help="where the agent lives, as /acme/platform")
        parser.add_argument("--name", default=bootstrap.NAME, help=f"of agent and deployment ({bootstrap.NAME})")
        parser.add_argument("--display-name", help=f"in the console ({bootstrap.DISPLAY_NAME})")
        parser.add_argument("--model", help=f"of the agent ({bootstrap.MODEL})")
        parser.add_argument("--system-prompt-file", type=Path, help="in place of the built-in one")
        parser.add_argument("--api", default=settings.API_URL, help=f"base URL of the API ({settings.API_URL})")
        parser.add_argument("--admin-token", default="", help="of the admin; a server on this machine needs none")

    def handle(self, *_args: Any, **options: Any) -> None:
        wanted = Wanted(
            ou_path=options["ou_path"],
            name=options["name"],
            display_name=options["display_name"],
            model=options["model"],
            system_prompt=_text(options["system_prompt_file"]),
        )
        url = options["api"].rstrip("/")
        bearer = options["admin_token"] or _own_token(options["admin_email"])
        headers = {"Authorization": f"Bearer {bearer}"}
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as api:
                _check_admin(api, options["admin_email"])
                agent = Bootstrap(api, self._say).run(wanted)
        except BootstrapFailed as failed:
            raise CommandError(visible(str(failed))) from failed
        except httpx.HTTPError as error:
            words = f"No Powerloom answers at {url} ({type(error).__name__}). Start it, or name it with --api."
            raise CommandError(words) from error
        self.stdout.write(
            f"{agent['name']} is ready in {agent['ou_path']}, for everybody who may invoke agents there: "
            f"POST {url}/agents/{agent['id']}/invoke"
        )

    def _say(self, words: str) -> None:
        if words:
            self.stdout.write(f"  {visible(words)}")


def _own_token(email: str) -> str:
    """Return a sign-in of the admin, made with this machine's own key, as the server here would."""
    user = User.objects.filter(email__iexact=email, is_active=True, organization__isnull=False).first()
    if user is None:
        raise CommandError(f"This machine knows no active member {email}. For a server elsewhere give --admin-token.")
    return sign_in_token(user)


def _check_admin(api: httpx.Client, email: str) -> None:
    answer = api.get("/me")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise BootstrapFailed("The server does not take this sign-in. Give a token that is good there: --admin-token.")
    if answer.is_error or str(answer.json().get("email")).lower() != email.lower():
        raise BootstrapFailed(f"The token is not of {email}. Give one of that person's, or name who it is of.")


def _text(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {type(error).__name__}.") from error
