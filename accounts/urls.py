"""Console URLs of accounts."""

from django.urls import path

from accounts.views import devices, doors

app_name = "accounts"
urlpatterns = [
    path("sign-in", doors.SignIn.as_view(), name="sign_in"),
    path("sign-in/by-name", doors.sign_in_by_name, name="sign_in_by_name"),
    path("sign-out", doors.SignOut.as_view(), name="sign_out"),
    path("device", devices.confirm, name="device"),
    path("device/decide", devices.decide, name="decide_device"),
    path("scopes", doors.scopes, name="scopes"),
]
