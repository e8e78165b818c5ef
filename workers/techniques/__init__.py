"""One file per technique. ``workers.recipe`` finds them by itself."""
