"""Console URLs of sessions."""

from django.urls import path

from sessions import views

app_name = "sessions"
urlpatterns = [
    path("sessions", views.session_list, name="list"),
    path("sessions/<uuid:session_id>", views.session_detail, name="detail"),
    path("sessions/<uuid:session_id>/news", views.session_news, name="news"),
    path("sessions/<uuid:session_id>/events/<int:seq>", views.session_event, name="event"),
    path("sessions/<uuid:session_id>/inspect/<slug:pane>", views.session_pane, name="pane"),
    path("sessions/<uuid:session_id>/download", views.session_download, name="download"),
    path("sessions/<uuid:session_id>/message", views.message, name="message"),
    path("sessions/<uuid:session_id>/confirm", views.confirm, name="confirm"),
    path("sessions/<uuid:session_id>/rename", views.rename, name="rename"),
    path("sessions/<uuid:session_id>/interrupt", views.interrupt, name="interrupt"),
    path("sessions/<uuid:session_id>/close", views.close, name="close"),
    path("sessions/<uuid:session_id>/delete", views.delete, name="delete"),
    path("agents/<uuid:agent_id>/invoke", views.invoke, name="invoke"),
    path("agents/<uuid:agent_id>/sessions", views.sessions_of_agent, name="of_agent"),
]
