"""One file per task metric. ``workers.metric`` finds them by itself."""
