"""Addresses of models, datasets and uploads."""

from django.urls import path

from compressionhub.library import uploads, views_datasets, views_models

app_name = "library"

urlpatterns = [
    path("models/", views_models.models, name="models"),
    path("models/upload/", views_models.upload, name="upload-model"),
    path("models/<uuid:pk>/", views_models.model, name="model"),
    path("models/<uuid:pk>/upload/", views_models.upload, name="upload-version"),
    path("models/<uuid:pk>/describe/", views_models.describe, name="describe-model"),
    path("models/<uuid:pk>/delete/", views_models.delete_model, name="delete-model"),
    path("models/<uuid:pk>/v<int:number>/", views_models.version, name="version"),
    path("models/<uuid:pk>/v<int:number>/contract/", views_models.contract, name="contract"),
    path("models/<uuid:pk>/v<int:number>/contract/confirm/", views_models.confirm, name="confirm-contract"),
    path("models/<uuid:pk>/v<int:number>/try/", views_models.try_it, name="try"),
    path("models/<uuid:pk>/v<int:number>/verify/", views_models.verify_again, name="verify-version"),
    path("models/<uuid:pk>/v<int:number>/delete/", views_models.delete_version, name="delete-version"),
    path("datasets/", views_datasets.datasets, name="datasets"),
    path("datasets/upload/", views_datasets.upload, name="upload-dataset"),
    path("datasets/<uuid:pk>/", views_datasets.dataset, name="dataset"),
    path("datasets/<uuid:pk>/describe/", views_datasets.describe, name="describe-dataset"),
    path("datasets/<uuid:pk>/target/", views_datasets.choose_target, name="choose-target"),
    path("datasets/<uuid:pk>/verify/", views_datasets.verify_again, name="verify-dataset"),
    path("datasets/<uuid:pk>/delete/", views_datasets.delete, name="delete-dataset"),
    path("uploads/", uploads.uploads, name="uploads"),
    path("uploads/<uuid:pk>/", uploads.upload, name="upload"),
]
