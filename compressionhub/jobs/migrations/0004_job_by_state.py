from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_job_by_outcome")]

    operations = [
        migrations.RemoveIndex(model_name="job", name="job_by_outcome"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                fields=["team", "state", "kind", "finished_at", "started_at", "id"], name="job_by_outcome"
            ),
        ),
    ]
