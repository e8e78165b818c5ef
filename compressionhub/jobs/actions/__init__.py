"""What can be done with jobs: check, write, audit, announce on commit."""

from compressionhub.jobs.actions.keeping import record_download, save_recipe
from compressionhub.jobs.actions.steering import cancel, retry
from compressionhub.jobs.actions.submitting import (
    outlook,
    run_again,
    submit,
    submit_inspection,
    submit_once,
    submit_sensitivity,
    submit_trial,
)

__all__ = [
    "cancel",
    "outlook",
    "record_download",
    "retry",
    "run_again",
    "save_recipe",
    "submit",
    "submit_inspection",
    "submit_once",
    "submit_sensitivity",
    "submit_trial",
]
