"""From a call of a tool to its answer: JSON, the same as text and as structure.

What the API refuses is an error of the tool, and passed on whole: status, message and explanation are the diagnosis.
"""

from __future__ import annotations

from pydantic import BaseModel

from agents.backends.base import Answer, Backend, Served, Unfit
from agents.backends.powerloom_meta import tools
from agents.backends.powerloom_meta.api import Api, Refused, Unreachable
from agents.mcp.powerloom_meta import RIGHTS, Failure, MetaConfig
from agents.mcp.template import Call, Policy


class PowerloomMetaBackend(Backend[MetaConfig, Policy]):
    """One client for all deployments; a token is of one call and stays nowhere."""

    def __init__(self, api: Api | None = None) -> None:
        self._api = api or Api()

    async def check(self, served: Served[MetaConfig, Policy]) -> list[str]:
        """Ask the API for a token that it must refuse: it answers, and knows us."""
        try:
            await self._api.traded("none", served.deployment_id, next(iter(RIGHTS)))
        except Unreachable as error:
            raise Unfit("api", f"{error} Set it to where the REST API is reached from the fleet.") from None
        except Refused as refused:
            if refused.error.get("message", "").startswith("This is the fleet's door"):
                raise Unfit(
                    "api", "Powerloom's API does not know this fleet: give both the same POWERLOOM_SECRET_KEY."
                ) from None
            if refused.status != 401:
                words = f"What answers at POWERLOOM_API_URL is not Powerloom's API: status {refused.status}."
                raise Unfit("api", words) from None
        return []

    async def call(self, served: Served[MetaConfig, Policy], call: Call) -> Answer:
        try:
            caller = await self._api.traded(served.bearer, served.deployment_id, call.tool)
            return _answer(await tools.run(caller, call))
        except Refused as refused:
            failure = Failure(
                status=refused.status,
                request_id=refused.request_id,
                right=RIGHTS[call.tool],
                said=refused.said,
                error=refused.error,
            )
            return _answer(failure, is_error=True)
        except Unreachable as error:
            return Answer(f"{error} Nothing is known of what was asked.", is_error=True)

    async def close(self) -> None:
        await self._api.close()


def _answer(found: BaseModel, *, is_error: bool = False) -> Answer:
    structured = None if is_error else found.model_dump(mode="json")
    return Answer(found.model_dump_json(), structured=structured, is_error=is_error)
