"""Figures for people who pay, report or wait: one file per estimate, found by ``workers.estimate.estimates``."""
