"""Static files under names that carry their hash, in the modules' own imports as well."""

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage

# Only our own modules: Django's switch for imports also reads vendored files, whose imports lead to no file.
OWN_IMPORTS = (
    "js/*.js",
    (
        (
            r"""(?P<matched>(?P<import>import\s*\{[^}]*\}\s*from\s*)["'](?P<url>\./[\w-]+\.js)["'])""",
            '%(import)s"%(url)s"',
        ),
    ),
)


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """A browser may keep a file for good, and still gets a new one after an update."""

    patterns: Any = (*CompressedManifestStaticFilesStorage.patterns, OWN_IMPORTS)
