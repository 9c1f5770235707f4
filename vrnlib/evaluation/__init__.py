"""Measures on data that training never saw: volumes, landmarks, crops."""
