"""What the library announces to the layers above it, always after its transaction is committed."""

from django.dispatch import Signal

# sender: ModelVersion or Dataset; instance: the row whose file lies in the store and must be verified.
file_arrived = Signal()

# sender: ModelVersion; instance: the version; dataset: what to try it on; by: who asked.
trial_wanted = Signal()
