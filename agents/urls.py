"""Console URLs of agents, skills, MCP servers and credentials."""

from django.urls import path

from agents.views import (
    agent_deeds,
    agents,
    attachments,
    credentials,
    deployments,
    server_deeds,
    servers,
    skill_versions,
    skills,
)

AGENT = "agents/<uuid:agent_id>"
SKILL = "skills/<uuid:skill_id>"
SERVER = "mcp-servers/<uuid:server_id>"
CREDENTIAL = "credentials/<uuid:credential_id>"

app_name = "agents"
urlpatterns = [
    path("agents", agents.agent_list, name="list"),
    path("agents/new", agent_deeds.agent_create, name="create"),
    path(AGENT, agents.agent_detail, name="detail"),
    path(f"{AGENT}/state", agents.agent_state, name="state"),
    path(f"{AGENT}/edit", agent_deeds.agent_edit, name="edit"),
    path(f"{AGENT}/archive", agent_deeds.agent_archive, name="archive"),
    path(f"{AGENT}/versions/<int:number>/restore", agent_deeds.agent_restore, name="restore"),
    path(f"{AGENT}/reset-sync", agent_deeds.reset_sync, name="reset_sync"),
    path(f"{AGENT}/skills", attachments.attach_skill, name="attach_skill"),
    path(f"{AGENT}/skills/<slug:skill>/detach", attachments.detach_skill, name="detach_skill"),
    path(f"{AGENT}/mcp-servers", attachments.attach_server, name="attach_server"),
    path(f"{AGENT}/mcp-servers/<uuid:server_id>", attachments.server_settings, name="server_settings"),
    path(f"{AGENT}/mcp-servers/<uuid:server_id>/detach", attachments.detach_server, name="detach_server"),
    path("skills", skills.skill_list, name="skills"),
    path("skills/new", skills.skill_create, name="skill_create"),
    path(SKILL, skills.skill_detail, name="skill"),
    path(f"{SKILL}/edit", skills.skill_edit, name="skill_edit"),
    path(f"{SKILL}/archive", skills.skill_archive, name="skill_archive"),
    path(f"{SKILL}/upload", skill_versions.skill_upload, name="skill_upload"),
    path(f"{SKILL}/versions/<uuid:version_id>/activate", skill_versions.skill_activate, name="skill_activate"),
    path(f"{SKILL}/grants", skills.skill_grant, name="skill_grant"),
    path(f"{SKILL}/grants/<uuid:grant_id>/revoke", skills.skill_revoke_grant, name="skill_revoke_grant"),
    path(f"{SKILL}/reset-sync", skills.skill_reset_sync, name="skill_reset_sync"),
    path("mcp-servers", servers.server_list, name="servers"),
    path("mcp-servers/new", deployments.gallery, name="server_gallery"),
    path("mcp-servers/new/own", server_deeds.server_register, name="server_register"),
    path("mcp-servers/new/<slug:kind>", deployments.deploy, name="deploy"),
    path(SERVER, servers.server_detail, name="server"),
    path(f"{SERVER}/state", servers.server_state, name="server_state"),
    path(f"{SERVER}/edit", server_deeds.server_edit, name="server_edit"),
    path(f"{SERVER}/destroy", server_deeds.server_destroy, name="server_destroy"),
    path(f"{SERVER}/probe", server_deeds.server_probe, name="server_probe"),
    path(f"{SERVER}/pin", server_deeds.server_pin, name="server_pin"),
    path(f"{SERVER}/try", server_deeds.server_try, name="server_try"),
    path(f"{SERVER}/policy", deployments.deployment_policy, name="deployment_policy"),
    path(f"{SERVER}/config", deployments.deployment_config, name="deployment_config"),
    path(f"{SERVER}/retry", deployments.deployment_retry, name="deployment_retry"),
    path("mcp-deployments/<uuid:deployment_id>", servers.deployment_detail, name="deployment"),
    path("credentials", credentials.credential_list, name="credentials"),
    path("credentials/new", credentials.credential_create, name="credential_create"),
    path(CREDENTIAL, credentials.credential_detail, name="credential"),
    path(f"{CREDENTIAL}/rotate", credentials.credential_rotate, name="credential_rotate"),
    path(f"{CREDENTIAL}/delete", credentials.credential_delete, name="credential_delete"),
    path(f"{CREDENTIAL}/reveal", credentials.credential_reveal, name="credential_reveal"),
    path(f"{CREDENTIAL}/reset-sync", credentials.credential_reset_sync, name="credential_reset_sync"),
    path("secrets/<uuid:secret_id>/users", credentials.secret_users, name="secret_users"),
]
