"""Variants side by side: what was measured of each, what it saves under a workload, and which wins under limits."""
