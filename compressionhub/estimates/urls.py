"""The addresses that change workloads; the pages that show them are the zoo's."""

from django.urls import path

from compressionhub.estimates import views, views_tables

app_name = "estimates"
urlpatterns = [
    path("new/", views.new, name="new"),
    path("<uuid:pk>/change/", views.change, name="change"),
    path("<uuid:pk>/usual/", views.usual, name="usual"),
    path("<uuid:pk>/delete/", views.delete, name="delete"),
    path("<uuid:pk>/tables/", views.move_tables, name="move-tables"),
    path("tables/", views_tables.index, name="tables"),
    path("tables/preview/", views_tables.preview, name="preview-table"),
    path("tables/upload/", views_tables.upload, name="upload-table"),
    path("tables/<str:kind>.csv", views_tables.download, name="download-table"),
]
