"""Figures of deployments as bytes in place of JSON, read off the whole amounts beside them."""

import math
import struct

from django.db import migrations, models

VIEWS = ("before", "paid", "saved", "share", "could", "could_share")
NAMES = (
    *(f"{quantity}.{view}" for quantity in ("bill", "energy", "carbon") for view in VIEWS),
    "wait.before",
    "wait.paid",
)


def numbers(amounts):
    """Value, low, high and class of each figure, a double each."""
    found = []
    for each in (amounts["amounts"][name] for name in NAMES):
        found += [math.nan if each[end] is None else each[end] for end in ("value", "low", "high")]
        found.append(" ABCD".index(each["class"] or " "))
    return struct.pack(f"<{len(found)}d", *found)


def write(apps, schema_editor):
    kept = apps.get_model("zoo", "DeploymentFigures").objects
    for row in kept.only("amounts").iterator(chunk_size=200):
        kept.filter(pk=row.pk).update(numbers=numbers(row.amounts))


class Migration(migrations.Migration):
    dependencies = [("zoo", "0005_entry_in_numbers")]

    operations = [
        migrations.RemoveField(model_name="deploymentfigures", name="numbers"),
        migrations.AddField(
            model_name="deploymentfigures",
            name="numbers",
            field=models.BinaryField(default=b""),
            preserve_default=False,
        ),
        migrations.RunPython(write, migrations.RunPython.noop),
    ]
