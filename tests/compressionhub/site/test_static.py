import re

from django.contrib.staticfiles.finders import FileSystemFinder

from compressionhub.site.static import HashedStaticFiles


def collected(tmp_path) -> HashedStaticFiles:
    """All static files, collected as ``prepare`` does it."""
    storage = HashedStaticFiles(location=str(tmp_path), base_url="/static/")
    found = {path: (source, path) for path, source in FileSystemFinder().list([])}
    for path, (source, _) in found.items():
        with source.open(path) as file:
            storage.save(path, file)
    problems = [result for _, _, result in storage.post_process(found) if isinstance(result, Exception)]
    assert not problems
    return storage


def test_a_module_imports_others_by_names_that_change_with_their_content(tmp_path):
    storage = collected(tmp_path)

    module = (tmp_path / storage.stored_name("js/hub.js")).read_text()

    imported = re.findall(r'from "\./(.+?)"', module)
    assert imported and all(re.fullmatch(r"[a-z]+\.[0-9a-f]{12}\.js", name) for name in imported)
    assert all((tmp_path / "js" / name).exists() for name in imported)
