"""URLs of the console's own rooms."""

from django.urls import path

from powerloom.console import access, audit, manifests, overview, palette, views, webhooks

app_name = "console"
urlpatterns = [
    path("", overview.home, name="home"),
    path("agents/new/manifest", manifests.new_agent_manifest, name="new_agent_manifest"),
    path("agents/<uuid:agent_id>/manifest", manifests.agent_manifest, name="agent_manifest"),
    path("agents/<uuid:agent_id>/edit/manifest", manifests.edited_agent_manifest, name="edited_agent_manifest"),
    path("favicon.ico", views.favicon),
    path("audit", audit.audit, name="audit"),
    path("audit/chain", audit.audit_chain, name="audit_chain"),
    path("audit/verify", audit.audit_verify, name="audit_verify"),
    path("audit/export", audit.audit_export, name="audit_export"),
    path("audit/<int:seq>", audit.audit_entry, name="audit_entry"),
    path("settings/webhooks", webhooks.webhook_list, name="webhooks"),
    path("settings/webhooks/new", webhooks.webhook_new, name="webhook_new"),
    path("settings/webhooks/<uuid:webhook_id>", webhooks.webhook_detail, name="webhook"),
    path("settings/webhooks/<uuid:webhook_id>/edit", webhooks.webhook_edit, name="webhook_edit"),
    path("settings/webhooks/<uuid:webhook_id>/rotate", webhooks.webhook_rotate, name="webhook_rotate"),
    path("settings/webhooks/<uuid:webhook_id>/test", webhooks.webhook_test, name="webhook_test"),
    path("settings/webhooks/<uuid:webhook_id>/archive", webhooks.webhook_archive, name="webhook_archive"),
    path("find", palette.find, name="find"),
    path("access-requests/new", access.ask_access, name="ask_access"),
]
