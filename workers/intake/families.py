"""The families of networks that are converted: each was converted in a test and gave what torch gave."""

from dataclasses import dataclass
from enum import StrEnum

from workers.intake.errors import EXPORT, NotConverted


class Head(StrEnum):
    """What a network answers."""

    EMBEDDING = "embedding"
    CLASSES = "classes"
    PICTURE_CLASSES = "picture classes"
    NEXT_TOKEN = "next token"


@dataclass(frozen=True)
class Family:
    """``model_type`` of ``config.json``, and what such networks may be."""

    heads: frozenset[Head]


TEXT = Family(frozenset({Head.EMBEDDING, Head.CLASSES}))
PICTURES = Family(frozenset({Head.PICTURE_CLASSES}))
LANGUAGE = Family(frozenset({Head.NEXT_TOKEN}))
FAMILIES: dict[str, Family] = {
    "albert": TEXT,
    "bert": TEXT,
    "deit": PICTURES,
    "distilbert": TEXT,
    "electra": TEXT,
    "gpt2": LANGUAGE,
    "llama": LANGUAGE,
    "mistral": LANGUAGE,
    "mpnet": TEXT,
    "qwen2": LANGUAGE,
    "roberta": TEXT,
    "vit": PICTURES,
    "xlm-roberta": TEXT,
}
ENDINGS = {
    "ForSequenceClassification": Head.CLASSES,
    "ForImageClassification": Head.PICTURE_CLASSES,
    "ForCausalLM": Head.NEXT_TOKEN,
    "LMHeadModel": Head.NEXT_TOKEN,
    "ForMaskedLM": Head.EMBEDDING,
    "Model": Head.EMBEDDING,
}


def head_of(model_type: str, architecture: str) -> Head:
    """What the network answers, by the name of its class.

    Raises:
        NotConverted: for a family or a head that is not converted.
    """
    family = FAMILIES.get(model_type)
    head = next((head for ending, head in ENDINGS.items() if architecture.endswith(ending)), None)
    if family is None or head not in family.heads:
        raise NotConverted(
            f"Expected a network of the families {', '.join(FAMILIES)} that gives embeddings, classes or next tokens,"
            f" found {architecture[:60] or 'no architecture'!r} of the type {model_type[:40]!r}.",
            hint=EXPORT,
            code="model.unknown-architecture",
        )
    return head
