"""The Cortex client: SDK, commands, board and runner."""
