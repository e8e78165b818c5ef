from django.urls import path

from compressionhub.fleet import views

app_name = "fleet"
urlpatterns = [
    path("", views.index, name="index"),
    path("devices/", views.devices, name="devices"),
    path("devices/<str:key>/", views.device, name="device"),
    path("devices/<str:key>/times/", views.upload_time, name="upload-time"),
    path("times/<uuid:pk>/remove/", views.remove_time, name="remove-time"),
]
