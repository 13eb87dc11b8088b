"""Console URLs of accounts."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("sign-in", views.SignIn.as_view(), name="sign_in"),
    path("sign-in/by-name", views.sign_in_by_name, name="sign_in_by_name"),
    path("sign-out", views.SignOut.as_view(), name="sign_out"),
    path("scopes", views.scopes, name="scopes"),
]
