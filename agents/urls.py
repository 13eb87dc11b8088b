"""Console URLs of agents, skills, MCP servers and credentials."""

from django.urls import path

from agents.views import agents, skill_versions, skills

app_name = "agents"
urlpatterns = [
    path("agents", agents.agent_list, name="list"),
    path("agents/<uuid:agent_id>", agents.agent_detail, name="detail"),
    path("agents/<uuid:agent_id>/state", agents.agent_state, name="state"),
    path("agents/<uuid:agent_id>/reset-sync", agents.reset_sync, name="reset_sync"),
    path("skills", skills.skill_list, name="skills"),
    path("skills/new", skills.skill_create, name="skill_create"),
    path("skills/<uuid:skill_id>", skills.skill_detail, name="skill"),
    path("skills/<uuid:skill_id>/edit", skills.skill_edit, name="skill_edit"),
    path("skills/<uuid:skill_id>/archive", skills.skill_archive, name="skill_archive"),
    path("skills/<uuid:skill_id>/upload", skill_versions.skill_upload, name="skill_upload"),
    path(
        "skills/<uuid:skill_id>/versions/<uuid:version_id>/activate",
        skill_versions.skill_activate,
        name="skill_activate",
    ),
    path("skills/<uuid:skill_id>/grants", skills.skill_grant, name="skill_grant"),
    path("skills/<uuid:skill_id>/grants/<uuid:grant_id>/revoke", skills.skill_revoke_grant, name="skill_revoke_grant"),
    path("skills/<uuid:skill_id>/reset-sync", skills.skill_reset_sync, name="skill_reset_sync"),
]
