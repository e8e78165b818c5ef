"""The relay: the one writer of what happened to jobs. Reads the event stream, writes rows, tells open pages."""
