"""Tables of a team: an admin hands in newer ones, old figures keep theirs, and nobody else sees them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import NotAllowed
from compressionhub.estimates import actions, tables
from compressionhub.estimates.forms import starting
from compressionhub.estimates.models import FrozenTables, TableSet, Workload
from workers.errors import YoursToFix
from workers.serving.figures import figures
from workers.serving.tables import tables as packaged
from workers.serving.worked_example import FP32

ROW = "aws,us-east-1,c6i.xlarge,0.17,on-demand Linux,2026-07-20"


def dearer(price: float = 0.34) -> bytes:
    newer = ROW.replace("0.17", str(price)).replace("2026-07-20", "2026-11-01")
    return packaged().texts["prices"].replace(ROW, newer).encode()


@pytest.fixture
def workload(team, vera) -> Workload:
    return actions.create(team=team, by=vera, assumed=starting(slug="retail-camera", author="Vera", monthly=1e9))


def bill(of: Workload) -> float:
    assumed = of.assumed
    return figures(assumed.workload, FP32, [], data=tables.of(assumed)).amount("cost-autoscaled", 0).value


def test_an_old_workload_keeps_its_tables_and_a_new_one_takes_the_newer(team, adam, vera, workload):
    before = bill(workload)

    made = actions.upload_table(team=team, by=adam, kind="prices", content=dearer())

    later = actions.create(team=team, by=vera, assumed=starting(slug="chat", author="Vera", monthly=1e9))
    workload.refresh_from_db()
    assert bill(workload) == before and workload.assumed.tables == packaged().version
    assert later.assumed.tables == made.version != packaged().version
    assert bill(actions.move_to_newest_tables(workload=workload, by=vera)) == pytest.approx(2 * before)
    assert AuditEntry.objects.filter(verb="tables.upload", by=adam).count() == 1


def test_another_team_goes_on_with_the_packaged_ones(team, other_team, adam, charlie):
    actions.upload_table(team=team, by=adam, kind="prices", content=dearer())

    theirs = actions.create(team=other_team, by=charlie, assumed=starting(slug="chat", author="Charlie"))

    assert theirs.assumed.tables == packaged().version
    assert not TableSet.objects.visible_to(charlie).exists()


def test_each_table_builds_on_the_one_before(team, adam):
    actions.upload_table(team=team, by=adam, kind="prices", content=dearer())
    pue = packaged().texts["pue"].replace("aws,1.08,1.15,1.2,2024", "aws,1.05,1.1,1.2,2025").encode()

    second = actions.upload_table(team=team, by=adam, kind="pue", content=pue)

    found = tables.newest(team)
    assert second.number == 2 and found.version == second.version
    assert found.pue["aws"].central == 1.1 and found.prices["aws", "us-east-1", "c6i.xlarge"].usd_per_hour == 0.34


def test_a_set_is_never_edited(team, adam):
    made = actions.upload_table(team=team, by=adam, kind="prices", content=dearer())

    with pytest.raises(FrozenTables):
        made.save()


@pytest.mark.parametrize("who", ["bob", "vera", "charlie"])
def test_only_an_admin_sets_prices(team, cast, who):
    with pytest.raises(NotAllowed):
        actions.upload_table(team=team, by=cast[who], kind="prices", content=dearer())


def test_a_refused_table_leaves_nothing(team, adam):
    with pytest.raises(YoursToFix):
        actions.upload_table(team=team, by=adam, kind="prices", content=b"nonsense")

    assert not TableSet.objects.filter(team=team).exists()


def test_the_page_shows_the_difference_before_it_keeps_it(client, adam, team):
    client.force_login(adam)
    file = SimpleUploadedFile("prices.csv", dearer())

    shown = client.post("/workloads/tables/preview/", {"kind": "prices", "file": file})

    page = shown.content.decode()
    assert "0.34" in page and "1 changed" in page and not TableSet.objects.filter(team=team).exists()
    text = shown.context["text"]
    kept = client.post("/workloads/tables/upload/", {"kind": "prices", "text": text}, follow=True)
    assert kept.status_code == 200 and TableSet.objects.get(team=team).number == 1
    assert "1 changed" in kept.content.decode()


def test_a_wrong_file_is_told_on_the_page_with_its_line(client, adam):
    client.force_login(adam)

    refused = client.post("/workloads/tables/preview/", {"kind": "prices", "text": dearer(-1).decode()})

    assert refused.status_code == 400 and "usd_per_hour" in refused.content.decode()


def test_markup_in_a_table_stays_text(client, adam):
    client.force_login(adam)
    text = dearer().decode().replace("2026-11-01,", "2026-11-01,<script>alert(1)</script></textarea>")

    page = client.post("/workloads/tables/preview/", {"kind": "prices", "text": text}).content.decode()

    assert "1 changed" in page and "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_everybody_of_the_team_reads_and_downloads_them(client, vera):
    client.force_login(vera)

    page = client.get("/workloads/tables/")
    file = client.get("/workloads/tables/prices.csv")

    assert "Hand in a newer table" not in page.content.decode()
    assert file.content.decode() == packaged().texts["prices"] and "attachment" in file["Content-Disposition"]
    assert client.get("/workloads/tables/secrets.csv").status_code == 404


def test_the_savings_page_offers_the_newer_tables(client, vera, adam, team, workload):
    client.force_login(vera)
    assert "newer tables" not in client.get(f"/savings/{workload.pk}/").content.decode()
    actions.upload_table(team=team, by=adam, kind="prices", content=dearer())

    assert "newer tables" in client.get(f"/savings/{workload.pk}/").content.decode()
    client.post(f"/workloads/{workload.pk}/tables/")

    workload.refresh_from_db()
    assert workload.assumed.tables == tables.newest(team).version
