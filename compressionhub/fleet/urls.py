from django.urls import path

from compressionhub.fleet import views

app_name = "fleet"
urlpatterns = [path("", views.index, name="index")]
