"""What can be done in the library: check, write, audit, announce on commit."""

from compressionhub.library.actions.contract import confirm_contract, edit_contract, try_contract
from compressionhub.library.actions.inspection import (
    record_dataset_inspection,
    record_measurement,
    record_model_inspection,
    record_rejection,
    record_trial,
    record_trial_failure,
)
from compressionhub.library.actions.items import add_dataset, add_model, choose_target, delete, describe, verify_again
from compressionhub.library.actions.uploads import (
    abandon_upload,
    finish_upload,
    start_upload,
    sweep_uploads,
    used_bytes,
)

__all__ = [
    "abandon_upload",
    "add_dataset",
    "add_model",
    "choose_target",
    "confirm_contract",
    "delete",
    "describe",
    "edit_contract",
    "finish_upload",
    "record_dataset_inspection",
    "record_measurement",
    "record_model_inspection",
    "record_rejection",
    "record_trial",
    "record_trial_failure",
    "start_upload",
    "sweep_uploads",
    "try_contract",
    "used_bytes",
    "verify_again",
]
