"""What git may do on behalf of a repository: nothing that the repository itself asks for.

Git's configuration names programs: hooks, filters, merge drivers, credential helpers, transports.
What the user's own (`--system`, `--global`) names is wanted: Git LFS, a keychain. What the
repository's names may have come with an unpacked archive or from an agent, and is replaced here
by the user's own value, or by one that does nothing or fails. Git knows no way to skip one file
of its configuration, so that the list of keys below is the wall; tests/runner has a hostile
repository for each of them.

Never run, whoever configured it: hooks, file system monitors, external diffs and text
conversions, editors, pagers, signing programs, prompts, aliases, automatic maintenance, recorded
conflict resolutions, anything in submodules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_TRUSTED = ("system", "global")
_OWN = ("local", "worktree")

Settings = list[tuple[str, str]]

# On each command line; the rest goes by the environment, which children inherit as well.
ARGUMENTS = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "protocol.ext.allow=never"),
)
FIXED: Settings = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("diff.ignoreSubmodules", "dirty"),  # to know more, git would run in the submodule
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("merge.verifySignatures", "false"),
    ("rerere.enabled", "false"),  # a resolution that came with the repository is no resolution
    ("http.saveCookies", "false"),  # writes to a path of the configuration
    ("color.ui", "false"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("i18n.commitEncoding", "UTF-8"),
    ("worktree.useRelativePaths", "false"),
]

# Programs that the repository's configuration may name, and what stands there instead when the
# user's own names none. "false" fails: an unknown merge is a conflict, an unknown filter an error.
_PROGRAMS = (
    ("filter.*.clean", ""),
    ("filter.*.smudge", ""),
    ("filter.*.process", ""),
    ("merge.*.driver", "false"),
    ("core.sshcommand", "ssh"),
    ("core.alternaterefscommand", "true"),
    ("remote.*.uploadpack", "git-upload-pack"),
    ("remote.*.receivepack", "git-receive-pack"),
    ("hook.*.command", "true"),
    ("gpg.program", "false"),
    ("gpg.*.program", "false"),
    ("lfs.extension.*.clean", "false"),
    ("lfs.extension.*.smudge", "false"),
    ("lfs.customtransfer.*.path", "false"),
    ("lfs.standalonetransferagent", ""),
    ("lfs.*.standalonetransferagent", ""),
)
_HELPERS = ("credential.helper", "credential.*.helper")

# For a remote that is a directory here, the receiving side runs on this machine too.
RECEIVE_HERE = (
    "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand=true"
    " -c receive.autogc=false -c gc.auto=0 -c maintenance.auto=false receive-pack"
)

# Of the variables that steer git, only those by which a user configures it for all repositories.
_KEPT = {
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
}
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # set and empty: neither core.askPass nor SSH_ASKPASS
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",  # to look must not disturb an agent that commits meanwhile
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
}
_PROTOCOLS = ("file", "http", "https", "ssh")
_NEVER = ("ext", "fd", "git")  # run a command, take a descriptor, run core.gitProxy
_DROPPED = ("GIT_", "CORTEX_", "LC_", "LANGUAGE", "SSH_ASKPASS", "PAGER", "GH_PAGER")


@dataclass(frozen=True)
class Entry:
    """One value of the configuration. scope: system, global, local, worktree or command."""

    scope: str
    key: str
    value: str


def parse(listing: bytes) -> list[Entry]:
    """Return the entries of `git config --list --show-scope -z`, weakest first."""
    fields = listing.decode("utf-8", "surrogateescape").split("\0")
    entries = []
    for scope, setting in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = setting.partition("\n")
        entries.append(Entry(scope, key, value))
    return entries


def replaced(entries: Sequence[Entry]) -> Settings:
    """Return the settings that undo what the repository's own configuration would run."""
    trusted = {entry.key: entry.value for entry in entries if entry.scope in _TRUSTED}
    settings: Settings = []
    for key, value in {e.key: e.value for e in entries if e.scope in _OWN}.items():
        harmless = _instead_of(key)
        if harmless is None or trusted.get(key) == value:
            continue
        settings.append((key, trusted.get(key, harmless)))
        if key.startswith("filter."):  # looking at a file must not fail for want of it
            settings.append((f"{key.rpartition('.')[0]}.required", "false"))
    return settings + _credentials(entries)


def _instead_of(key: str) -> str | None:
    return next((value for pattern, value in _PROGRAMS if fnmatchcase(key, pattern)), None)


def _credentials(entries: Sequence[Entry]) -> Settings:
    """Helpers add up, and an empty one forgets those before it: forget all, repeat the user's."""
    helpers = [e for e in entries if any(fnmatchcase(e.key, pattern) for pattern in _HELPERS)]
    own = {entry.key for entry in helpers if entry.scope in _OWN}
    if not own:
        return []
    theirs = [(entry.key, entry.value) for entry in helpers if entry.scope in _TRUSTED]
    return [(key, "") for key in sorted(own)] + theirs


def untrusted_filters(entries: Sequence[Entry]) -> set[str]:
    """Return the names of the filters of the repository's own that are not run."""
    changed = {key for key, _ in replaced(entries) if key.startswith("filter.")}
    return {key.removeprefix("filter.").rpartition(".")[0] for key in changed}


def protocols(entries: Iterable[Entry]) -> str:
    """Return the transports that may be used: the usual ones, and those the user allowed."""
    allowed = {
        entry.key.removeprefix("protocol.").removesuffix(".allow")
        for entry in entries
        if entry.scope in _TRUSTED
        and fnmatchcase(entry.key, "protocol.*.allow")
        and entry.value == "always"
    }
    return ":".join([*_PROTOCOLS, *sorted(allowed - {*_PROTOCOLS, *_NEVER})])


def environment(base: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the environment of a git: the user's, without what steers it, with `settings`."""
    kept = {
        name: value
        for name, value in base.items()
        if name in _KEPT or not name.startswith(_DROPPED)
    }
    numbered = {}
    count = 0
    for count, (key, value) in enumerate(settings, start=1):
        numbered[f"GIT_CONFIG_KEY_{count - 1}"] = key
        numbered[f"GIT_CONFIG_VALUE_{count - 1}"] = value
    fixed = {**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": ":".join(_PROTOCOLS)}
    return {**kept, **fixed, **numbered, "GIT_CONFIG_COUNT": str(count)}
