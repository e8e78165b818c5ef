"""Serving a network: the traffic, the machine, how long a request takes, and what follows from the three."""
