"""Inputs found, results published by rename, locks, downloads."""
