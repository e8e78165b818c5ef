"""A report: frozen evidence of the engine's figures, and what of it reaches each reader."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator

import openpyxl
import pypdf
import pytest
from django.db import connection

from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import Invalid, NotAllowed
from compressionhub.estimates import actions as workloads
from compressionhub.estimates.models import Workload
from compressionhub.zoo import actions as zoo
from compressionhub.zoo import savings
from compressionhub.zoo.models import Entry, Standing
from compressionhub.zoo.reports import actions, evidence, files, forms, sentences
from compressionhub.zoo.reports.models import FrozenReport, Report
from tests.compressionhub.zoo.records import report_of
from workers.serving.workload import OnPremises, Triple

HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '  "=1+1"', "' =cmd", "a;=1+1", "; =1", "\uff1d1+1", "\u200b=1",
    "<script>alert(1)</script>", "#set page(width: 1pt)", "$ #eval(\"1\") $", "{{ 7|add:7 }}", "a\u202egnp.exe",
    "x\x00y", "x" * 3000, "שלום", "\r\nSet-Cookie: a=b", '"; filename="evil.exe',
]  # fmt: skip


@pytest.fixture
def made(team, vera, priced, workload) -> Report:
    return actions.make(team=team, by=vera, entries=[priced], workload=workload)


@pytest.fixture
def hostile(team, vera, finished, adam, priced, workload):
    """A report in which every text that somebody typed is hostile."""

    def make(text: str) -> Report:
        if "\x00" in text and connection.vendor == "postgresql":
            pytest.skip("PostgreSQL holds no NUL, so no record can")
        found = Entry.objects.get(pk=priced.pk).record_json
        found["origin"] = {**found["origin"], "model": text[:200], "dataset": text[:200]}
        Entry.objects.filter(pk=priced.pk).update(name=text[:80].replace("\x00", ""), record_json=found)
        typed = workload.assumed.workload.model_copy(update={"author": text[:200], "name": text[:200]})
        Workload.objects.filter(pk=workload.pk).update(
            assumed_json=workload.assumed.model_copy(update={"workload": typed}).model_dump(mode="json")
        )
        entry, used = Entry.objects.get(pk=priced.pk), Workload.objects.get(pk=workload.pk)
        return actions.make(team=team, by=vera, entries=[entry], workload=used, question=text)

    return make


# What a spreadsheet may take for a formula, past what it skips; an apostrophe before it makes it text.
STARTS = re.compile('[\\s"\u200b]*[-=+@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]')
NUMBER = re.compile(r"-?[\d.]+(e[-+]?\d+)?")


def plain(markup: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", markup)))


def pdf_text(content: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    assert len(pages) == 1
    return re.sub(r"\s+", " ", pages[0].extract_text().replace("\u200b", ""))


def test_the_paper_is_set_in_the_typeface_of_the_pages(made):
    page = pypdf.PdfReader(io.BytesIO(files.pdf_of(made))).pages[0]

    fonts = {font.get_object()["/BaseFont"].split("+")[-1] for font in page["/Resources"]["/Font"].values()}

    assert {"Inter-Regular", "Inter-SemiBold", "Inter-Bold"} <= fonts


def test_a_report_holds_the_worked_example_on_page_and_in_pdf(client, vera, made):
    client.force_login(vera)

    page = plain(client.get(made.get_absolute_url()).content.decode())
    paper = pdf_text(files.pdf_of(made))

    for figure in (
        "51.7 %",
        "$465",
        "$434",
        "$900",
        "26.9 ms",
        "65.7 ms",
        "36.1 kWh",
        "83.8 kWh",
        "15.2 kg",
        "limit 100 ms",
    ):
        assert figure in page, figure
        assert figure in paper, figure
    for text in ("20 Jul 2026", "Chosen by Vera", "within noise"):
        assert text in page and text in paper, text
    assert made.sha256 in page and made.sha256 in paper.replace(" ", "")


def test_its_figures_are_the_engines(made, priced, workload):
    found = savings.savings(priced, workload.assumed)
    row = {one.slug: one for one in made.evidence.variants[0].rows}

    assert row["bill"].after.value == found.figures.column("cost-autoscaled").value[1]
    assert row["bill"].share.value == found.figures.relative_saving("cost-autoscaled").value[1]
    assert (row["carbon"].saved.low, row["carbon"].saved.high) == (found.carbon.saved.low, found.carbon.saved.high)
    assert row["metric"].share.value == pytest.approx(-0.4) and row["metric"].share.grade == "A"
    assert row["bill"].after.grade == "C" and row["bill"].share.grade == "B"


def test_nothing_that_happens_later_changes_it(client, vera, made, priced, workload):
    client.force_login(vera)
    address = made.get_absolute_url()
    before = [client.get(f"{address}download/{kind}/").content for kind in ("pdf", "csv", "json")]
    sheet = re.search(r'<article class="sheet".*</article>', client.get(address).content.decode(), re.DOTALL)[0]

    assumed = workload.assumed
    doubled = assumed.workload.model_copy(update={"predictions_per_month": 2e9, "name": "Other"})
    workloads.change(workload=workload, by=vera, assumed=assumed.model_copy(update={"workload": doubled}))
    workloads.delete(workload=workload, by=vera)
    Entry.objects.filter(pk=priced.pk).update(name="renamed", standing=Standing.WITHDRAWN)
    vera.full_name = "Somebody Else"
    vera.save()

    assert [client.get(f"{address}download/{kind}/").content for kind in ("pdf", "csv", "json")] == before
    after = client.get(address).content.decode()
    assert sheet in after and "renamed is withdrawn now" in plain(after)


def test_a_report_is_never_written_again(made):
    for attempt in (made.save, made.delete, Report.objects.all().delete, lambda: Report.objects.update(title="x")):
        with pytest.raises(FrozenReport):
            attempt()


def test_its_hash_is_that_of_the_kept_text(made):
    whole = json.loads(files.json_of(made))

    again = json.dumps(whole["evidence"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert evidence.digest(again) == whole["sha256"] == made.sha256 and made.is_intact
    assert Report(evidence_text=made.evidence_text + " ", sha256=made.sha256).is_intact is False


def test_every_cell_has_value_range_unit_class_and_source(made):
    rows = list(csv.DictReader(io.StringIO(files.csv_of(made).decode("utf-8-sig"))))

    figures = [row for row in rows if row["variant"] and row["value"]]
    assert len(figures) > 15
    assert all(row["class"] in "ABCD" and row["class"] and row["unit"] and row["source"] for row in figures)
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in figures)
    bill = next(row for row in figures if (row["figure"], row["of"]) == ("Bill a month", "variant"))
    assert float(bill["value"]) == pytest.approx(434.35, rel=1e-3) and "20 Jul 2026" in bill["source"]


def test_csv_and_xlsx_hold_the_same_cells(made):
    rows = list(csv.reader(io.StringIO(files.csv_of(made).decode("utf-8-sig"))))
    sheet = openpyxl.load_workbook(io.BytesIO(files.xlsx_of(made)))["Figures"]

    read = [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert len(read) == len(rows) > 20
    for mine, theirs in zip(rows, read, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            same = one.lstrip("'") == other.lstrip("'")
            assert same or float(one) == pytest.approx(float(other))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_formula_a_command_or_a_header(client, vera, hostile, text):
    report = hostile(text)
    client.force_login(vera)

    assert not [cell for cell in _as_any_program_splits(files.csv_of(report).decode("utf-8-sig")) if STARTS.match(cell)]
    book = openpyxl.load_workbook(io.BytesIO(files.xlsx_of(report)))
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"s", "n"} and not any(
        cell.hyperlink for sheet in book for row in sheet.iter_rows() for cell in row
    )
    assert "Figures" in pdf_text(files.pdf_of(report))
    answer = client.get(f"{report.get_absolute_url()}download/pdf/")
    assert re.fullmatch(r'attachment; filename="report-1-[A-Za-z0-9.-]*\.pdf"', answer["Content-Disposition"])
    assert "Set-Cookie" not in answer.headers
    page = client.get(report.get_absolute_url()).content.decode()
    sheet = re.search('<article class="sheet".*</article>', page, re.DOTALL)[0]
    assert "<script>alert" not in page and "\u202e" not in sheet and "\x00" not in sheet


def _as_any_program_splits(written: str) -> Iterator[str]:
    """The cells of a file as read with a comma, and as split by programs whose separator is another one."""
    for row in csv.reader(io.StringIO(written)):
        for cell in row:
            yield from (part for part in re.split("[;\t]", cell) if not NUMBER.fullmatch(part))


def test_several_variants_are_compared_and_the_best_is_the_answer(client, team, vera, adam, finished, priced, workload):
    slower = zoo.publish(job=finished(speedup=1.0, word="smaller-only"), by=adam, name="only-smaller")
    with report_of(slower) as told:
        told["environment"]["device"] = "c6i-xlarge-1t"
        told["baseline"]["service"] = told["result"]["service"] = {
            "workers": 4, "mean_ms": 40, "p95_ms": 46, "cv2": 0.05,
        }  # fmt: skip

    report = actions.make(team=team, by=vera, entries=[Entry.objects.get(pk=slower.pk), priced], workload=workload)

    assert report.evidence.answer.startswith("digits-int8: saves 51.7 % of the bill")
    client.force_login(vera)
    for text in (plain(client.get(report.get_absolute_url()).content.decode()), pdf_text(files.pdf_of(report))):
        assert "only-smaller" in text and "smaller only" in text and "0.0 %" in text and "51.7 %" in text


def test_what_is_not_known_is_said_with_its_reason(client, vera, team, entry, workload):
    report = actions.make(team=team, by=vera, entries=[entry], workload=workload)
    client.force_login(vera)

    text = plain(client.get(report.get_absolute_url()).content.decode())

    assert "not known Nothing is measured on c6i.xlarge" in text and "$" not in text and "Top-1 accuracy" in text
    assert "not known" in pdf_text(files.pdf_of(report))


@pytest.mark.parametrize("count", [0, 9])
def test_a_report_holds_one_to_eight_variants(team, vera, priced, workload, count):
    with pytest.raises(Invalid):
        actions.make(team=team, by=vera, entries=[priced] * count, workload=workload)


def test_only_the_team_makes_and_reads_its_reports(client, team, charlie, cast, priced, workload, made):
    with pytest.raises(NotAllowed):
        actions.make(team=team, by=charlie, entries=[priced], workload=workload)
    for who in ("alice", "adam", "bob", "vera", "charlie"):
        client.force_login(cast[who])
        wanted = 404 if who == "charlie" else 200
        paths = ["", *(f"download/{kind}/" for kind in files.KINDS)]
        assert {client.get(made.get_absolute_url() + path).status_code for path in paths} == {wanted}, who
    assert client.get(f"{made.get_absolute_url()}download/exe/").status_code == 404


def test_a_viewer_makes_a_report_on_the_page(client, vera, priced, workload):
    client.force_login(vera)
    address = f"/reports/new/?entry={priced.pk}&workload={workload.pk}&entry=nonsense"

    page = client.get(address).content.decode()
    answer = client.post(
        "/reports/new/", {"entry": [str(priced.pk)], "workload": str(workload.pk), "question": "Is it worth it?"}
    )

    assert re.search(rf'value="{priced.pk}"[^>]*checked', page)
    report = Report.objects.get()
    assert answer.headers["Location"] == report.get_absolute_url() and report.evidence.question == "Is it worth it?"
    assert report.made_by == vera and AuditEntry.objects.filter(verb="report.make", by=vera).count() == 1
    assert client.post("/reports/new/", {"workload": str(workload.pk)}).status_code == 422


def test_without_entries_or_workloads_the_page_says_what_comes_first(client, vera, entry):
    client.force_login(vera)
    assert "No workload yet" in client.get("/reports/new/").content.decode()
    Entry.objects.filter(pk=entry.pk).update(standing=Standing.WITHDRAWN)
    assert "Nothing published yet" in client.get("/reports/new/").content.decode()
    assert "No reports yet" in client.get("/reports/").content.decode()


def test_the_api_gives_the_kept_evidence_to_the_team_alone(client, vera, charlie, made):
    client.force_login(vera)
    listed = client.get("/api/v1/reports").json()
    whole = client.get(f"/api/v1/reports/{made.pk}").json()

    assert [one["number"] for one in listed] == [1] and whole["sha256"] == made.sha256
    assert whole["evidence"] == json.loads(made.evidence_text)
    client.force_login(charlie)
    assert client.get("/api/v1/reports").json() == []
    assert client.get(f"/api/v1/reports/{made.pk}").status_code == 404


def test_an_old_entry_that_was_chosen_on_its_page_is_offered_beside_the_newest(
    client, vera, adam, finished, priced, workload, monkeypatch
):
    monkeypatch.setattr(forms, "MOST_OFFERED", 1)
    for name in ("newer", "newest"):
        zoo.publish(job=finished(), by=adam, name=name)
    client.force_login(vera)

    page = client.get(f"/reports/new/?entry={priced.pk}").content.decode()

    boxes = re.findall(r'type="checkbox" name="entry".*?<bdi>([^<]*)</bdi>', page, re.DOTALL)
    assert boxes == ["digits-int8", "newest"]


def test_the_line_under_the_title_names_an_owned_machine_without_a_region(workload):
    watts = Triple(low=50, value=60, high=70)
    owned = OnPremises(
        title="rack 7", workers=4, memory_gb=16, idle_w=watts, active_w=watts, hardware_usd=1, life_years=4,
        used_share=1, operations_usd_per_month=0,
    )  # fmt: skip
    changed = workload.assumed.workload.model_copy(update={"billing": "on-premises", "on_premises": owned})

    said = sentences.setting(workload.assumed.model_copy(update={"workload": changed}))

    assert said == "1 B predictions a month, on premises, rack 7."
