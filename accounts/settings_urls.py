"""Console URLs of one's own settings."""

from django.urls import path

from accounts.views import own

app_name = "settings"
urlpatterns = [
    path("settings", own.profile, name="profile"),
    path("settings/password", own.password, name="password"),
    path("settings/tokens", own.token_list, name="tokens"),
    path("settings/tokens/new", own.token_new, name="token_new"),
    path("settings/tokens/<uuid:token_id>/revoke", own.token_revoke, name="token_revoke"),
    path("settings/keys", own.keys, name="keys"),
]
