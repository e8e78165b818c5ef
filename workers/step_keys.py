"""The keys under which finished steps are kept."""

import hashlib
import json

from workers.device import host, profile, versions
from workers.technique import Technique
from workers.ticket import Ticket

CACHE_FORMAT = 3
TRIAL_FORMAT = 1
MOST_TRIALS = 1000


def step_keys(ticket: Ticket, *, threads: int) -> tuple[str, ...]:
    """The cache key after each step: everything its result depends on, hashed.

    (team, input, data, contract, this and every earlier step with its code version, seed, library versions,
    provider, ISA flags, threads). The number of a node or of a job is not part of it.
    """
    if ticket.recipe is None or ticket.model is None:
        return ()
    device = profile(ticket.device)
    ground = [
        CACHE_FORMAT,
        ticket.team,
        ticket.model.sha256,
        ticket.data and ticket.data.sha256,
        ticket.options.model_dump(mode="json"),
        ticket.contract and ticket.contract.model_dump(mode="json"),
        ticket.seed,
        versions(),
        device.provider,
        device.isa,
        host().isa,
        threads,
    ]
    keys, chain = [], hashlib.sha256(json.dumps(ground, sort_keys=True).encode())
    for technique in ticket.recipe.steps:
        chain.update(json.dumps([technique.about.version, _parameters(technique, ticket)], sort_keys=True).encode())
        keys.append(chain.hexdigest())
    return tuple(keys)


def _parameters(technique: Technique, ticket: Ticket) -> dict[str, object]:
    """The parameters of a step, another network by its content instead of its name."""
    said = technique.model_dump(mode="json")
    return said | ({technique.model_field(): ticket.others[name].sha256} if (name := technique.other_model) else {})


def trial_keys(ticket: Ticket, *, threads: int) -> tuple[str, ...]:
    """The keys of the measurements of a sensitivity job, as many as are kept: what a step depends on, and the place."""
    ground = [*step_keys(ticket, threads=threads), "sensitivity", TRIAL_FORMAT]
    return tuple(hashlib.sha256(json.dumps([*ground, place]).encode()).hexdigest() for place in range(MOST_TRIALS))
