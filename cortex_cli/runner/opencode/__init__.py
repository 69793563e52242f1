"""What the adapter for OpenCode is made of: its server, its events, its sessions.

`server` starts one for an attempt, `client` speaks to it, `events` follows it, `conversation`
turns what it says into a report, `sessions`, `transcript` and `asks` remember what was told, and
`run` puts them together.
"""
