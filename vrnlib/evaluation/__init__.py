"""Measures: functions from what a network or a detector says, and the truth, to numbers in dictionaries."""
