"""The Cortex server: one log, one board, and a stream to every screen."""

__version__ = "0.1.0"
