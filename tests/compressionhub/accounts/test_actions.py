"""People, teams and tokens: the rules of each action."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from compressionhub.accounts import actions, tokens
from compressionhub.accounts.models import ApiToken, AppendOnly, AuditEntry, Membership, Scope, User
from compressionhub.accounts.permissions import Role
from compressionhub.errors import Invalid, NotAllowed, WrongState


def membership(user, team) -> Membership:
    return Membership.objects.get(user=user, team=team)


# The audit trail


@pytest.fixture
def line(alice, team) -> AuditEntry:
    return actions.audit(alice, "test.verb", team, reason="because")


def test_a_line_says_who_did_what_to_which_thing(line, alice, team):
    assert (line.by, line.by_name, line.team, line.target_name) == (alice, "Alice", team, "Meridian")
    assert line.detail == {"reason": "because"}


def test_a_line_is_never_changed(line):
    line.verb = "nothing.happened"

    with pytest.raises(AppendOnly):
        line.save()
    with pytest.raises(AppendOnly):
        AuditEntry.objects.update(verb="nothing.happened")
    with pytest.raises(AppendOnly):
        AuditEntry.objects.bulk_update([line], ["verb"])
    assert AuditEntry.objects.get(pk=line.pk).verb == "test.verb"


def test_a_line_is_never_removed(line):
    with pytest.raises(AppendOnly):
        line.delete()
    with pytest.raises(AppendOnly):
        AuditEntry.objects.filter(pk=line.pk).delete()
    assert AuditEntry.objects.filter(pk=line.pk).exists()


def test_a_line_outlives_the_person_and_the_team_it_names(line, alice, team):
    key = team.pk
    team.delete()
    alice.delete()

    kept = AuditEntry.objects.get(pk=line.pk)
    assert (kept.by_name, kept.target_name, kept.team_id) == ("Alice", "Meridian", key)


def test_a_line_cannot_be_overwritten_by_its_number(line, alice, team):
    forged = AuditEntry(
        pk=line.pk, by=alice, verb="nothing.happened", target_kind="x", target_id="x", target_name="x", by_name="x"
    )

    with pytest.raises(Exception):  # noqa: B017 - the database's own refusal, whichever it uses
        forged.save()


@pytest.mark.parametrize(("who", "count"), [("alice", 1), ("adam", 1), ("bob", 0), ("vera", 0), ("charlie", 0)])
def test_the_trail_is_read_by_admins_of_its_team_only(line, cast, who, count):
    assert AuditEntry.objects.visible_to(cast[who]).count() == count


# Members


def test_a_new_person_gets_a_password_that_works_and_is_written_nowhere(adam, team):
    member, password = actions.add_member(
        team=team, role=Role.ENGINEER, by=adam, full_name="Dana", email="dana@example.org"
    )

    assert member.user.username == "dana"
    assert member.user.check_password(password)
    assert member.user.has_first_password
    assert password not in str(AuditEntry.objects.filter(verb="member.add").values())


def test_a_person_with_an_account_is_added_without_touching_their_password(adam, team, charlie):
    before = charlie.password

    member, password = actions.add_member(team=team, role=Role.VIEWER, by=adam, email="CHARLIE@example.org")

    charlie.refresh_from_db()
    assert (member.user, password, charlie.password) == (charlie, None, before)


@pytest.mark.parametrize("who", ["bob", "vera", "charlie"])
def test_only_admins_add_people(cast, team, who):
    with pytest.raises(NotAllowed):
        actions.add_member(team=team, role=Role.VIEWER, by=cast[who], username="dana")


def test_an_admin_cannot_make_an_owner(adam, team):
    with pytest.raises(NotAllowed):
        actions.add_member(team=team, role=Role.OWNER, by=adam, username="dana")


@pytest.mark.parametrize("username", ["eve@example.org", "a b", "x" * 61, "<script>"])
def test_a_user_name_is_plain(adam, team, username):
    with pytest.raises(Invalid):
        actions.add_member(team=team, role=Role.VIEWER, by=adam, username=username)


def test_nobody_is_added_twice(adam, bob, team):
    with pytest.raises(WrongState):
        actions.add_member(team=team, role=Role.VIEWER, by=adam, username="BOB")


def test_only_owners_change_roles(alice, adam, bob, team):
    actions.change_role(membership=membership(bob, team), role=Role.ADMIN, by=alice)
    with pytest.raises(NotAllowed):
        actions.change_role(membership=membership(bob, team), role=Role.VIEWER, by=adam)

    assert membership(bob, team).role == Role.ADMIN


def test_the_last_owner_neither_steps_down_nor_leaves(alice, team):
    with pytest.raises(WrongState):
        actions.change_role(membership=membership(alice, team), role=Role.VIEWER, by=alice)
    with pytest.raises(WrongState):
        actions.remove_member(membership=membership(alice, team), by=alice)


def test_an_admin_cannot_remove_an_owner(adam, alice, bob, team):
    with pytest.raises(NotAllowed):
        actions.remove_member(membership=membership(alice, team), by=adam)

    actions.remove_member(membership=membership(bob, team), by=adam)
    assert not Membership.objects.filter(user=bob, team=team).exists()


def test_an_admin_cannot_take_over_an_account_that_is_on_another_team(adam, bob, team, other_team):
    Membership.objects.create(user=bob, team=other_team, role=Role.OWNER)

    with pytest.raises(NotAllowed):
        actions.reset_password(membership=membership(bob, team), by=adam)


def test_an_admin_cannot_reset_the_password_of_an_owner(adam, alice, team):
    with pytest.raises(NotAllowed):
        actions.reset_password(membership=membership(alice, team), by=adam)


def test_a_weak_password_is_refused_and_a_good_one_ends_the_first(bob):
    bob.has_first_password = True
    with pytest.raises(Invalid):
        actions.set_password(user=bob, old="correct horse battery staple", new="password123")
    with pytest.raises(Invalid):
        actions.set_password(user=bob, old="wrong", new="a very fine long one")

    actions.set_password(user=bob, old="correct horse battery staple", new="a very fine long one")

    assert bob.check_password("a very fine long one")
    assert not bob.has_first_password


# Tokens


def test_a_token_is_kept_as_its_hash_only(bob, team):
    token, secret = actions.create_token(user=bob, team=team, name="laptop")

    assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(ApiToken.objects.filter(pk=token.pk).values())
    assert secret not in str(AuditEntry.objects.values())


def test_a_token_speaks_for_its_owner_and_notes_when(bob, team):
    token, secret = actions.create_token(user=bob, team=team, name="laptop", scope=Scope.WRITE)

    found = tokens.find(secret)

    assert found is not None and found.user == bob and tokens.allows(found, Scope.WRITE)
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_a_reading_token_does_not_write(bob, team):
    _, secret = actions.create_token(user=bob, team=team, name="laptop")

    found = tokens.find(secret)

    assert found is not None and found.user == bob
    assert tokens.allows(found, Scope.READ) and not tokens.allows(found, Scope.WRITE)


def test_a_token_ends_with_its_date_its_owner_its_membership_or_its_revocation(bob, adam, team):
    def fresh() -> tuple[ApiToken, str]:
        return actions.create_token(user=bob, team=team, name="laptop", expires_at=timezone.now() + timedelta(hours=1))

    (late, expired), (gone, revoked), (_, left) = fresh(), fresh(), fresh()
    ApiToken.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    actions.revoke_token(token=gone, by=bob)
    assert tokens.find(expired) is None
    assert tokens.find(revoked) is None
    assert tokens.find(left) is not None

    actions.remove_member(membership=membership(bob, team), by=adam)

    assert tokens.find(left) is None


@pytest.mark.parametrize("secret", ["", "chub_", "chub_x", "x" * 100_000, "chub_' OR 1=1"])
def test_anything_else_is_no_token(db, secret):
    assert tokens.find(secret) is None


def test_a_stranger_cannot_revoke_a_token(bob, charlie, adam, team):
    token, _ = actions.create_token(user=bob, team=team, name="laptop")

    with pytest.raises(NotAllowed):
        actions.revoke_token(token=token, by=charlie)
    assert actions.revoke_token(token=token, by=adam).revoked_at


# The first start


def test_the_first_start_makes_an_owner_once(db):
    made = actions.first_start()

    assert made is not None
    username, password = made
    assert User.objects.get(username=username).check_password(password)
    assert User.objects.get().memberships.get().role == Role.OWNER
    assert actions.first_start() is None


def test_two_first_starts_have_two_passwords(db):
    first = actions.first_start()
    AuditEntry.objects.all()._raw_delete("default")
    User.objects.all().delete()
    second = actions.first_start()

    assert first and second and first[1] != second[1]


def test_details_of_the_trail_are_one_line_with_numbers_cut_short():
    line = AuditEntry(verb="contract.tried", detail={"metric": "mrr", "best_value": 0.9334950267366582, "rows": 2000})

    assert line.said == "metric mrr, best value 0.9335, rows 2000"
