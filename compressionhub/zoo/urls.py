"""The addresses of home and zoo."""

from django.urls import path

from compressionhub.zoo import views, views_compare, views_deployments, views_home, views_savings

app_name = "zoo"
urlpatterns = [
    path("", views_home.home, name="home"),
    path("now/", views_home.now, name="now"),
    path("zoo/", views.catalogue, name="list"),
    path("zoo/publish/<uuid:job>/", views.publish, name="publish"),
    path("zoo/<uuid:pk>/", views.entry, name="entry"),
    path("zoo/<uuid:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("zoo/<uuid:pk>/download/", views.download, name="download"),
    path("deployments/record/", views_deployments.record, name="record-deployment"),
    path("deployments/<uuid:pk>/", views_deployments.deployment, name="deployment"),
    path("deployments/<uuid:pk>/why/<str:name>/", views_deployments.why, name="deployment-why"),
    path("deployments/<uuid:pk>/end/", views_deployments.end, name="end-deployment"),
    path("deployments/<uuid:pk>/traffic/", views_deployments.traffic, name="deployment-traffic"),
    path("compare/", views_compare.compare, name="compare"),
    path("compare/figures/", views_compare.figures, name="compare-figures"),
    path("compare/why/<uuid:pk>/<str:side>/<str:figure>/", views_compare.why, name="compare-why"),
    path("savings/", views_savings.savings, name="savings"),
    path("savings/<uuid:pk>/", views_savings.savings_of, name="savings-of"),
    path("zoo/file/<str:token>/<str:name>", views.file, name="file"),
]
