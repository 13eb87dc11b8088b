"""Console URLs of approvals."""

from django.urls import path

from approvals import views

app_name = "approvals"
urlpatterns = [
    path("approvals", views.inbox, name="list"),
    path("approvals/count", views.count, name="count"),
    path("approvals/<uuid:request_id>", views.request_detail, name="detail"),
    path("approvals/<uuid:request_id>/decide", views.decide, name="decide"),
    path("approvals/<uuid:request_id>/cancel", views.cancel, name="cancel"),
]
