"""The commands of `cortex`, a file per noun; each file's `command` is what main.py loads."""
