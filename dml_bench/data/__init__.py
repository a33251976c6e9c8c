"""Datasets: one file each, all ending in the same `Dataset`."""
