"""The input contract: edited, tried on ten samples, confirmed by a person."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.library.models import Dataset, ModelVersion, StoredFile
from compressionhub.library.signals import trial_wanted
from workers.contract import Contract

TRIAL_PATIENCE = timedelta(minutes=15)


@transaction.atomic
def edit_contract(*, version: ModelVersion, by: User, contract: Contract) -> ModelVersion:
    """Replace the guessed contract. What was tried or confirmed under the old one no longer counts.

    Raises:
        NotAllowed: if ``by`` may not edit the library.
        WrongState: if the version is not verified.
        Invalid: if the contract names other inputs or outputs than the network has.
    """
    require(by, Verb.EDIT_LIBRARY, version.team)
    _require_ready(version)
    _require_same_borders(version, contract)
    version.contract, version.contract_is_guess = contract, False
    version.contract_confirmed_by = version.contract_confirmed_at = None
    version.tried = version.trial_problem = version.tried_on = version.trial_asked_at = None
    version.save()
    audit(by, "contract.edit", version, version.team, contract=contract.model_dump(mode="json"))
    return version


def _require_ready(item: StoredFile) -> None:
    if not item.is_ready:
        raise WrongState(f"{item} is {item.get_state_display().lower()}.", hint="Wait until it is ready.")


def _require_same_borders(version: ModelVersion, contract: Contract) -> None:
    facts = version.facts
    if facts is None:
        raise WrongState(f"{version} has not been looked into yet.", hint="Wait until it is ready.")
    has = {tensor.name for tensor in facts.inputs}
    says = {spec.name for spec in contract.inputs}
    if says != has:
        raise Invalid(
            f"Expected the inputs {', '.join(sorted(has))}, found {', '.join(sorted(says))}.",
            hint="Keep the names of the network.",
        )


@transaction.atomic
def try_contract(*, version: ModelVersion, dataset: Dataset, by: User) -> ModelVersion:
    """Run ten samples through the network under its contract; the answer comes from a worker.

    Raises:
        NotAllowed: if ``by`` may not submit jobs.
        WrongState: if model or dataset is not ready, or a trial is under way.
    """
    require(by, Verb.SUBMIT_JOB, version.team)
    _require_ready(version)
    _require_ready(dataset)
    if dataset.team != version.team:
        raise Invalid("Expected a dataset of the same team.", hint="Choose another dataset.")
    now = timezone.now()
    if version.trial_asked_at is not None and now - version.trial_asked_at < TRIAL_PATIENCE:
        raise WrongState(f"{version} is being tried already.", hint="Wait for its answer.")
    version.trial_asked_at, version.tried_on, version.trial_problem = now, dataset, None
    version.save(update_fields=["trial_asked_at", "tried_on", "trial_problem_json"])
    audit(by, "contract.try", version, version.team, dataset=str(dataset))
    transaction.on_commit(lambda: trial_wanted.send(sender=ModelVersion, instance=version, dataset=dataset, by=by))
    return version


@transaction.atomic
def confirm_contract(*, version: ModelVersion, by: User) -> ModelVersion:
    """Say that the contract is right: from now on jobs may use it.

    Raises:
        NotAllowed: if ``by`` may not edit the library.
        WrongState: if there is no contract yet.
    """
    require(by, Verb.EDIT_LIBRARY, version.team)
    _require_ready(version)
    if version.contract_json is None:
        raise WrongState(f"{version} has no contract yet.", hint="Wait until it is ready.")
    version.contract_confirmed_by, version.contract_confirmed_at = by, timezone.now()
    version.contract_is_guess = False
    version.save(update_fields=["contract_confirmed_by", "contract_confirmed_at", "contract_is_guess"])
    audit(by, "contract.confirm", version, version.team)
    return version
