"""What was made from a model stands on its page, as far as the viewer may see it."""

from compressionhub.zoo.lineage import nodes


def test_a_listed_entry_leads_to_its_page_and_says_what_changed(entry, version, alice):
    (node,) = nodes(version, alice)

    assert (node.kind, node.url, node.title) == ("listed", entry.get_absolute_url(), entry.name)
    assert node.lines == ("−0.40 points, within noise · 360 kB", "faster, 2.00×")


def test_a_result_that_was_not_published_is_kept_as_evidence(finished, version, alice):
    job = finished()

    (node,) = nodes(version, alice)

    assert (node.kind, node.url) == ("kept", job.get_absolute_url())


def test_a_stranger_sees_no_results(finished, version, charlie):
    finished()

    assert list(nodes(version, charlie)) == []


def test_the_tree_is_drawn_on_the_models_page(client, entry, version, alice):
    client.force_login(alice)

    page = client.get(version.get_absolute_url()).content.decode()

    assert "1 made from it, 1 listed in the zoo" in page
    assert entry.get_absolute_url() in page
