"""Console URLs of accounts."""

from django.urls import path

from accounts.views import devices, doors, secrets

app_name = "accounts"
urlpatterns = [
    path("sign-in", doors.SignIn.as_view(), name="sign_in"),
    path("sign-in/by-name", doors.sign_in_by_name, name="sign_in_by_name"),
    path("sign-out", doors.SignOut.as_view(), name="sign_out"),
    path("device", devices.confirm, name="device"),
    path("device/decide", devices.decide, name="decide_device"),
    path("secrets", secrets.secret_list, name="secrets"),
    path("secrets/new", secrets.secret_create, name="secret_create"),
    path("secrets/<uuid:secret_id>", secrets.secret_detail, name="secret"),
    path("secrets/<uuid:secret_id>/rotate", secrets.secret_rotate, name="secret_rotate"),
    path("secrets/<uuid:secret_id>/delete", secrets.secret_delete, name="secret_delete"),
    path("scopes", doors.scopes, name="scopes"),
]
