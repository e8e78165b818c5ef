"""Addresses of signing in, one's account and one's team."""

from django.urls import path

from compressionhub.accounts import views

app_name = "accounts"

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("account/", views.account, name="account"),
    path("account/password/", views.change_password, name="password"),
    path("account/tokens/", views.make_token, name="make-token"),
    path("account/tokens/<uuid:pk>/revoke/", views.revoke_token, name="revoke-token"),
    path("team/", views.team, name="team"),
    path("team/share-links/", views.share_links, name="share-links"),
    path("team/switch/", views.switch_team, name="switch-team"),
    path("team/people/", views.add_person, name="add-person"),
    path("team/people/<uuid:pk>/role/", views.change_role, name="change-role"),
    path("team/people/<uuid:pk>/password/", views.reset_password, name="reset-password"),
    path("team/people/<uuid:pk>/remove/", views.remove_person, name="remove-person"),
]
