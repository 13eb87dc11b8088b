"""Console URLs of agents."""

from django.urls import path

from agents import views

app_name = "agents"
urlpatterns = [
    path("agents", views.agent_list, name="list"),
    path("agents/<uuid:agent_id>", views.agent_detail, name="detail"),
    path("agents/<uuid:agent_id>/state", views.agent_state, name="state"),
    path("agents/<uuid:agent_id>/reset-sync", views.reset_sync, name="reset_sync"),
]
