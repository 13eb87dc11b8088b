"""Console URLs of conversations."""

from django.urls import path

from sessions import chat_views

app_name = "chat"
urlpatterns = [
    path("chat", chat_views.start, name="start"),
    path("chat/<uuid:session_id>", chat_views.conversation, name="conversation"),
    path("chat/<uuid:session_id>/news", chat_views.news, name="news"),
]
