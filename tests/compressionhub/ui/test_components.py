import html
import json
import re

import pytest
from django.template import TemplateSyntaxError, engines

from compressionhub.ui.range_bar import RangeBar
from compressionhub.ui.templatetags import hub
from workers.recipe import techniques
from workers.technique import Family


def render(text: str, **context) -> str:
    return engines["django"].from_string(text).render(context)


@pytest.mark.parametrize(
    "text",
    [
        '{% tile label="Size" valeu="1" %}',
        '{% card titel="x" %}{% endcard %}',
        "{% delta 1 2 3 untis='times' %}",
        '{% page_header subtitle="no title" %}{% endpage_header %}',
        '{% chart id="x" option=o %}',
    ],
)
def test_a_misspelt_or_missing_argument_fails_when_the_template_is_read(text):
    with pytest.raises(TemplateSyntaxError):
        engines["django"].from_string(text)


def test_what_people_typed_is_escaped_everywhere():
    bad = "<script>alert(1)</script>"
    text = """{% page_header title=bad subtitle=bad crumb=bad here=bad %}{% endpage_header %}
    {% card title=bad end=bad foot=bad %}{{ bad }}{% endcard %}{% tile label=bad value=bad note=bad rng=bad %}
    {% empty icon="home" title=bad text=bad %}{% endempty %}
    {% verdict_banner word="slower" title=bad text=bad %}{% endverdict_banner %}
    {% problem_box problem %}{% pill bad %}{% state_pill bad %}{% technique_chip bad %}
    {% chart id="c" option=option label=bad %}"""

    page = render(text, bad=bad, problem={"message": bad, "hint": bad, "code": bad}, option={"title": bad})

    assert "<script>alert" not in page


def test_actions_and_content_of_a_block_keep_their_markup():
    page = render(
        '{% card title="T" %}<b>in</b>{% endcard %}{% empty icon="home" title="t" %}<a href="/">go</a>{% endempty %}'
    )

    assert "<b>in</b>" in page and '<a href="/">go</a>' in page


def test_an_unknown_icon_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match=r"vendor\.json"):
        hub.icon("no-such-icon")


def test_every_word_with_an_icon_has_it_in_the_sprite():
    from compressionhub.ui.words import STATES, VERDICTS

    assert [word for word in (*STATES.values(), *VERDICTS.values()) if not hub.sprite_has(word.icon)] == []


@pytest.mark.parametrize(
    ("word", "shown", "tone"),
    [
        ("faster", "faster", "ok"),
        ("smaller-only", "smaller only", "mid"),
        ("slower", "slower", "no"),
        (None, "not measured: host too noisy", ""),
    ],
)
def test_a_verdict_is_a_word_and_a_tone(word, shown, tone):
    page = hub.verdict_pill(word)

    assert shown in page
    assert f'class="pill{" " + tone if tone else ""}"' in page


@pytest.mark.parametrize(
    ("arguments", "css"),
    [
        ("0.012 0.004 0.02", "ok"),
        ("0.012 -0.004 0.028", "nul"),
        ("-0.0042 -0.0071 -0.0013 limit=-0.01", "nul"),
        ("-0.021 -0.03 -0.012 limit=-0.01", "no"),
        ('2.5 2.44 2.56 unit="times"', "ok"),
        ('0.83 0.81 0.85 unit="times" limit=0.95', "no"),
        ('-3.0 -4.0 -2.0 unit="ms" better="down"', "ok"),
    ],
)
def test_a_difference_is_teal_only_when_better_and_distinguishable(arguments, css):
    assert f'class="delta {css}"' in render(f"{{% delta {arguments} %}}")


def test_an_indistinguishable_difference_says_so():
    assert "within noise" in render("{% delta -0.0015 -0.004 0.001 %}")
    assert "within noise" not in render("{% delta -0.0042 -0.0071 -0.0013 %}")


def test_an_unknown_difference_is_not_zero():
    assert "not known" in render("{% delta nothing %}", nothing=None)


def test_a_range_bar_places_values_by_share_of_its_axis():
    bar = RangeBar(value=2.5, low=2.44, high=2.56, zero=1, base=9, start=0, end=4)

    assert (bar.value_at, bar.zero_at, bar.base_at) == ("62.5%", "25.0%", "100.0%")
    assert bar.band == ("61.0%", "3.0%")


def test_a_range_bar_of_one_value_stands_in_the_middle():
    assert RangeBar(value=3.0).value_at == "50.0%"


def test_a_class_badge_speaks_its_word_in_both_forms():
    assert "measured" in hub.grade("A") and "measured" in hub.grade("A", word=True)


def test_a_chart_carries_its_option_as_json_and_says_what_it_shows():
    page = render(
        '{% chart id="loss" option=option label="Loss by epoch" height=200 %}', option={"series": [{"data": [1, 2]}]}
    )

    option = re.search(r'<span id="loss-option" hidden>(.*?)</span>', page)
    assert json.loads(html.unescape(option[1])) == {"series": [{"data": [1, 2]}]}
    assert 'aria-label="Loss by epoch"' in page and 'data-chart="loss-option"' in page


def test_a_technique_chip_takes_the_object_its_stored_form_and_its_slug():
    kind = techniques()["static-int8"]
    changed = kind.model_validate({"calibration": "entropy"})

    shown = {hub.technique_chip(changed), hub.technique_chip(changed.model_dump())}

    assert len(shown) == 1 and "entropy" in shown.pop()
    assert kind.about.title in hub.technique_chip("static-int8")


def test_every_family_has_its_own_marker():
    assert len({str(hub.family_mark(family)) for family in Family}) == len(Family)


def test_a_pager_keeps_the_filters_leads_to_the_neighbours_and_is_silent_on_one_page(rf):
    request = rf.get("/jobs/", {"state": "failed", "page": "2", "q": '"><script>'})
    middle = render('{% pager 2 3 place="list" %}', request=request)

    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)"', middle)]

    assert links == [f"?state=failed&page={page}&q=%22%3E%3Cscript%3E#list" for page in (1, 3)]
    assert render("{% pager 3 3 %}", request=request).count("href") == 1
    assert render("{% pager 1 1 %}", request=request) == ""
