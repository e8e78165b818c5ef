"""Who may do what, held against the table of the design, written out by hand."""

import pytest
from django.contrib.auth.models import AnonymousUser

from compressionhub.accounts.permissions import MAY, Role, Verb, may, require
from compressionhub.errors import NotAllowed

# The design's own words, role by role, in its order.
VIEWER = {"read", "edit workloads", "compare", "make reports", "ask for approval"}
ENGINEER = VIEWER | {
    "upload",
    "edit models and datasets",
    "submit jobs",
    "cancel jobs",
    "download artifacts",
    "record deployments",
}
ADMIN = ENGINEER | {"publish", "approve", "share links", "set prices", "manage members", "read the audit trail"}
OWNER = ADMIN | {"change roles", "delete"}


@pytest.mark.parametrize(
    ("role", "verbs"), [(Role.VIEWER, VIEWER), (Role.ENGINEER, ENGINEER), (Role.ADMIN, ADMIN), (Role.OWNER, OWNER)]
)
def test_each_role_may_do_what_the_design_says_and_nothing_else(role, verbs):
    assert {verb.value for verb in MAY[role]} == verbs


def test_every_verb_has_a_role():
    assert MAY[Role.OWNER] == frozenset(Verb)


def test_rights_end_at_the_border_of_the_team(cast, team):
    assert may(cast["alice"], Verb.DELETE, team)
    assert not any(may(cast["charlie"], verb, team) for verb in Verb)


def test_nobody_may_do_nothing(team):
    assert not may(None, Verb.READ, team)
    assert not may(AnonymousUser(), Verb.READ, team)


def test_a_closed_account_may_do_nothing(alice, team):
    alice.is_active = False

    assert not may(alice, Verb.READ, team)


def test_being_a_superuser_opens_no_team(charlie, team):
    charlie.is_superuser = True
    charlie.save()

    assert not may(charlie, Verb.READ, team)


def test_a_refusal_names_the_role_that_is_needed_and_the_one_found(vera, team):
    with pytest.raises(NotAllowed) as refused:
        require(vera, Verb.PUBLISH, team)

    assert refused.value.message == "To publish, the role admin is needed; you are a viewer."
    assert "owner" in refused.value.hint
