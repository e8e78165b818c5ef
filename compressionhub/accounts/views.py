"""Signing in and out, one's account, and the team."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from compressionhub.accounts import actions, forms
from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.accounts.middleware import SESSION_KEY
from compressionhub.accounts.models import ApiToken, AuditEntry, Membership, Scope
from compressionhub.accounts.permissions import MAY, Role, Verb, may, require
from compressionhub.errors import HubError

AUDIT_PAGE = 50
PAUSE_MINUTES = round(settings.AXES_COOLOFF_TIME * 60)


class SignIn(LoginView):
    """The way in. Where it leads afterwards is checked by Django to lie on this site."""

    template_name = "accounts/sign_in.html"
    authentication_form = forms.SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "tries_left": self._tries_left(), "pause_minutes": PAUSE_MINUTES}

    def _tries_left(self) -> int | None:
        """How often a wrong password may still be given; none before the first."""
        if self.request.method != "POST":
            return None
        failures = AxesProxyHandler.get_failures(self.request, {"username": self.request.POST.get("username", "")})
        return max(0, int(settings.AXES_FAILURE_LIMIT) - int(failures))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("accounts:sign-in")


def locked_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """What somebody sees after too many wrong passwords."""
    return render(request, "accounts/locked_out.html", {"pause_minutes": PAUSE_MINUTES}, status=429)


# One's own account


@login_required
@never_cache
def account(request: HubRequest) -> HttpResponse:
    if request.method == "POST":
        return _rename(request)
    return _account_page(request)


def _rename(request: HubRequest) -> HttpResponse:
    form = forms.AccountForm(request.POST)
    if not form.is_valid():
        return _account_page(request, account_form=form, status=422)
    try:
        actions.rename(user=request.user, **form.cleaned_data)
    except HubError as error:
        form.add_error(None, error.message)
        request.user.refresh_from_db()
        return _account_page(request, account_form=form, status=error.status)
    messages.success(request, "Saved.")
    return redirect("accounts:account")


@login_required
@require_POST
@never_cache
def change_password(request: HubRequest) -> HttpResponse:
    form = forms.PasswordForm(request.POST)
    if not form.is_valid():
        return _account_page(request, password_form=form, status=422)
    try:
        actions.set_password(user=request.user, **form.cleaned_data)
    except HubError as error:
        form.add_error("old" if "current" in error.message else "new", error.message)
        return _account_page(request, password_form=form, status=error.status)
    update_session_auth_hash(request, request.user)
    messages.success(request, "Password changed. Other sessions were signed out.")
    return redirect("accounts:account")


@team_required
@require_POST
@never_cache
def make_token(request: HubRequest) -> HttpResponse:
    """Answers with the page itself, not a redirect: the secret stands on it this once and nowhere else."""
    form = forms.TokenForm(request.POST)
    if not form.is_valid():
        return _account_page(request, token_form=form, status=422)
    days = form.cleaned_data["days"]
    token, secret = actions.create_token(
        user=request.user,
        team=request.team,
        name=form.cleaned_data["name"],
        scope=Scope(form.cleaned_data["scope"]),
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )
    return _account_page(request, made_token=token, secret=secret)


@login_required
@require_POST
def revoke_token(request: HubRequest, pk: UUID) -> HttpResponse:
    token = get_object_or_404(request.user.tokens.select_related("team", "user"), pk=pk)
    actions.revoke_token(token=token, by=request.user)
    messages.success(request, f"{token.name} no longer works.")
    return redirect("accounts:account")


def _account_page(request: HubRequest, *, status: int = 200, **shown: Any) -> HttpResponse:
    user = request.user
    found = {
        "account_form": forms.AccountForm(initial={"full_name": user.full_name, "email": user.email}),
        "password_form": forms.PasswordForm(),
        "token_form": forms.TokenForm(),
        "tokens": _tokens(request),
    }
    return render(request, "accounts/account.html", {**found, **shown}, status=status)


def _tokens(request: HubRequest) -> QuerySet[ApiToken]:
    return request.user.tokens.filter(revoked_at=None).select_related("team")


# The team


@team_required
@never_cache
def team(request: HubRequest) -> HttpResponse:
    return _team_page(request)


@team_required
@require_POST
@never_cache
def add_person(request: HubRequest) -> HttpResponse:
    """Answers with the page itself: the first password stands on it this once and nowhere else."""
    require(request.user, Verb.MANAGE_MEMBERS, request.team)
    form = forms.PersonForm(request.POST, most=Role(request.membership.role))
    if not form.is_valid():
        return _team_page(request, person_form=form, status=422)
    role = Role(form.cleaned_data.pop("role"))
    try:
        member, password = actions.add_member(team=request.team, role=role, by=request.user, **form.cleaned_data)
    except HubError as error:
        form.add_error(None, f"{error.message} {error.hint}")
        return _team_page(request, person_form=form, status=error.status)
    return _team_page(request, added=member, password=password)


@team_required
@require_POST
def change_role(request: HubRequest, pk: UUID) -> HttpResponse:
    member = _member(request, pk)
    require(request.user, Verb.CHANGE_ROLES, request.team)
    form = forms.RoleForm(request.POST)
    if form.is_valid():
        actions.change_role(membership=member, role=Role(form.cleaned_data["role"]), by=request.user)
        messages.success(request, f"{member.user} is now {form.cleaned_data['role']}.")
    return redirect("accounts:team")


@team_required
@require_POST
@never_cache
def reset_password(request: HubRequest, pk: UUID) -> HttpResponse:
    member = _member(request, pk)
    password = actions.reset_password(membership=member, by=request.user)
    return _team_page(request, added=member, password=password)


@team_required
@require_POST
def remove_person(request: HubRequest, pk: UUID) -> HttpResponse:
    member = _member(request, pk)
    actions.remove_member(membership=member, by=request.user)
    messages.success(request, f"{member.user} is no longer on {request.team}.")
    return redirect("accounts:team")


@team_required
@require_POST
def share_links(request: HubRequest) -> HttpResponse:
    """Switch the team's share links on or off."""
    allowed = request.POST.get("allowed") == "yes"
    actions.allow_sharing(team=request.team, by=request.user, allowed=allowed)
    messages.success(request, "Share links work again." if allowed else "Share links are off: none opens.")
    return redirect("accounts:team")


@team_required
@require_POST
def switch_team(request: HubRequest) -> HttpResponse:
    """Work on another of one's teams; a foreign or unknown one changes nothing."""
    wanted = request.POST.get("team", "")
    if any(str(key) == wanted for key in request.user.memberships.values_list("team", flat=True)):
        request.session[SESSION_KEY] = wanted
    return redirect("/")


def _member(request: HubRequest, pk: UUID) -> Membership:
    return get_object_or_404(Membership.objects.select_related("team", "user"), pk=pk, team=request.team)


def _team_page(request: HubRequest, *, status: int = 200, **shown: Any) -> HttpResponse:
    role = Role(request.membership.role)
    may_manage = Verb.MANAGE_MEMBERS in MAY[role]
    members = Membership.objects.filter(team=request.team).select_related("user")
    people = f"{len(members)} people are" if len(members) != 1 else "One person is"
    found = {
        "members": members,
        "subtitle": f"{people} here. You are {role.with_article}.",
        "roles": list(Role),
        "role": role,
        "may_manage": may_manage,
        "may_change_roles": Verb.CHANGE_ROLES in MAY[role],
        "may_share": Verb.SHARE in MAY[role],
        "person_form": forms.PersonForm(most=role) if may_manage else None,
        "trail": _trail(request),
    }
    return render(request, "accounts/team.html", {**found, **shown}, status=status)


def _trail(request: HubRequest) -> Any:
    """A page of the team's audit trail, for those who may read it."""
    if not may(request.user, Verb.READ_AUDIT, request.team):
        return None
    return Paginator(AuditEntry.objects.visible_to(request.user).filter(team=request.team), AUDIT_PAGE).get_page(
        request.GET.get("page")
    )
