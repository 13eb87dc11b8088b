"""What agents may use of their skills: the right of the principal they act for, asked for many at once."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from accounts import rbac
from agents.actions import Action
from agents.models import Skill


def refused(pairs: Iterable[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Return those pairs of principal and skill where the principal may not use the skill.

    Three queries for any number; a disabled owner may use nothing.
    """
    asked = set(pairs)
    if not asked:
        return set()
    skills = Skill.objects.filter(pk__in={skill for _, skill in asked}).select_related("ou")
    places = {skill.pk: skill.ou.path for skill in skills}
    grants = rbac.grants_by_member({principal for principal, _ in asked}, Action.SKILL_USE)
    return {
        (principal, skill)
        for principal, skill in asked
        if skill not in places
        or not rbac.decide(grants.get(principal, ()), Action.SKILL_USE, places[skill], skill).allowed
    }
