"""Runs agents for the board: `cortex runner`.

Nothing is imported here: a guardian is started for every attempt and must be quick.
"""
