"""The cast: Alice owns a team, Adam is its admin, Bob its engineer, Vera its viewer; Charlie is a stranger.

Beside them a verified model and dataset of Alice's team, and an empty store of their own for every test.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from compressionhub.accounts.models import Membership, Team, User
from compressionhub.accounts.permissions import Role
from compressionhub.library.models import Dataset, ModelVersion, State, TrainedModel
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.facts import DatasetFacts, KindOfWork, LayerFacts, ModelFacts, RoleFacts, TargetFacts, TensorFacts
from workers.facts import Role as DataRole

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def hub_folders(settings, tmp_path: Path) -> None:
    """Uploads and artifacts of one test are its own."""
    settings.STORE = tmp_path / "store"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def team(db) -> Team:
    return Team.objects.create(name="Meridian", slug="meridian")


@pytest.fixture
def other_team(db) -> Team:
    return Team.objects.create(name="Elsewhere", slug="elsewhere")


@pytest.fixture
def person(db) -> Callable[..., User]:
    """Make a person on a team: ``person("alice", team, Role.OWNER)``."""

    def make(name: str, team: Team | None = None, role: Role = Role.VIEWER) -> User:
        user = User.objects.create_user(
            username=name, email=f"{name}@example.org", full_name=name.title(), password=PASSWORD
        )
        if team:
            Membership.objects.create(team=team, user=user, role=role)
        return user

    return make


@pytest.fixture
def alice(person, team) -> User:
    return person("alice", team, Role.OWNER)


@pytest.fixture
def adam(person, team) -> User:
    return person("adam", team, Role.ADMIN)


@pytest.fixture
def bob(person, team) -> User:
    return person("bob", team, Role.ENGINEER)


@pytest.fixture
def vera(person, team) -> User:
    return person("vera", team, Role.VIEWER)


@pytest.fixture
def charlie(person, other_team) -> User:
    return person("charlie", other_team, Role.OWNER)


@pytest.fixture
def cast(alice, adam, bob, vera, charlie) -> dict[str, User]:
    return {"alice": alice, "adam": adam, "bob": bob, "vera": vera, "charlie": charlie}


@pytest.fixture
def model_facts() -> ModelFacts:
    return ModelFacts(
        size_bytes=1_400_000,
        zip_bytes=1_300_000,
        params=347_000,
        macs=5_100_000,
        opset=18,
        producer="pytorch",
        inputs=(TensorFacts(name="pixels", dtype="float32", shape=("n", 1, 8, 8)),),
        outputs=(TensorFacts(name="logits", dtype="float32", shape=("n", 10)),),
        layers=(
            LayerFacts(name="conv1", op="Conv", params=640, macs=36_864, output_shape=(64, 8, 8)),
            LayerFacts(name="fc", op="Gemm", params=346_360, macs=5_063_136, output_shape=(10,)),
        ),
        work=(KindOfWork(kind="c3w", count=1, macs=36_864, weights=640, act_in=64, act_out=4096),),
        op_counts={"Conv": 1, "Gemm": 1, "Relu": 1},
        weight_bytes={"float32": 1_388_000},
    )


@pytest.fixture
def contract() -> Contract:
    return Contract(
        task=Task.CLASSIFICATION,
        inputs=(InputSpec(name="pixels", shape=(1, 8, 8), layout="CHW", channels="gray", scale=1 / 16),),
        outputs=(OutputSpec(name="logits", meaning="logits"),),
        classes=tuple(str(digit) for digit in range(10)),
    )


@pytest.fixture
def dataset_facts() -> DatasetFacts:
    counts = {str(digit): 30 for digit in range(10)}
    return DatasetFacts(
        format="npz",
        size_bytes=920_000,
        inputs=(TensorFacts(name="x", dtype="float32", shape=(1, 8, 8)),),
        target=TargetFacts(kind="class", name="y", classes=tuple(str(digit) for digit in range(10))),
        roles={
            DataRole.TRAIN: RoleFacts(rows=1000, declared=True, class_counts=counts),
            DataRole.VALIDATION: RoleFacts(rows=200, declared=False, class_counts=counts),
            DataRole.CALIBRATION: RoleFacts(rows=200, declared=False, class_counts=counts),
            DataRole.TEST: RoleFacts(rows=397, declared=True, class_counts=counts),
        },
    )


@pytest.fixture
def version(team, alice, model_facts, contract) -> ModelVersion:
    """Version 1 of Alice's model ``digits-cnn``: verified, its contract guessed and not confirmed."""
    model = TrainedModel.objects.create(team=team, name="digits-cnn", created_by=alice)
    made = ModelVersion(
        model=model,
        number=1,
        state=State.READY,
        filename="digits-cnn.onnx",
        store_key="test/model",
        sha256="a" * 64,
        size_bytes=model_facts.size_bytes,
        uploaded_by=alice,
    )
    made.facts, made.contract = model_facts, contract
    made.save()
    return made


@pytest.fixture
def dataset(team, alice, dataset_facts) -> Dataset:
    """Alice's verified dataset ``digits``."""
    made = Dataset(
        team=team,
        name="digits",
        state=State.READY,
        filename="digits.npz",
        store_key="test/data",
        sha256="b" * 64,
        size_bytes=dataset_facts.size_bytes,
        uploaded_by=alice,
    )
    made.facts = dataset_facts
    made.save()
    return made
