"""Decisions that an entry may replace its baseline, each on one frozen report."""
