"""Takes passwords and tokens out of a remote's URL, so that it can be stored and shown."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

# git+ssh://git@host names an account, not a secret; elsewhere the user may itself be a token.
_SCHEMES_WITH_ACCOUNTS = ("ssh", "git+ssh", "ssh+git", "svn+ssh", "sftp")

_split_helper = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9+.-]*::)*").match
_split_url = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL).fullmatch
_split_parameters = re.compile(r"([?#&;])").split
_is_port = re.compile(r"[0-9]*").fullmatch
_names_a_secret = re.compile(
    r"token|secret|passw|pwd|api[_-]?key|access[_-]?key|private[_-]?key|credential|signature"
    r"|auth(?!or)|authori[sz]ation|^(?:key|pat|sig)$",
    re.IGNORECASE,
).search


def strip_credentials(url: str) -> tuple[str, bool]:
    """The URL without user, password and secret parameters, and whether it had any.

    An SSH account (``git@host:path``, ``ssh://git@host/path``) stays, and so does a local path.
    """
    helper = _split_helper(url)
    assert helper is not None
    found = _split_url(url, helper.end())
    if found is None:
        return url, False
    scheme, authority, rest = found.groups()
    authority, rest = _with_slashes_of_a_password(authority, rest)
    user, at, host = authority.rpartition("@")
    account = user.partition(":")[0] if scheme.lower() in _SCHEMES_WITH_ACCOUNTS else ""
    stripped = f"{helper[0]}{scheme}://{account}{at if account else ''}{host}{_public(rest)}"
    return stripped, stripped != url


def _with_slashes_of_a_password(authority: str, rest: str) -> tuple[str, str]:
    """``user:pa/ss@host/path`` is no valid URL, but people write it, and ``ss`` is a secret."""
    _, at, host = authority.rpartition("@")
    is_sound = host != "" if at else host.startswith("[") or _is_port(host.partition(":")[2])
    if is_sound or "@" not in rest:
        return authority, rest
    more, at, host_and_path = rest.rpartition("@")
    slash = re.search(r"[/?#]|$", host_and_path)
    assert slash is not None
    host = host_and_path[: slash.start()]
    return authority + more + at + host, host_and_path[slash.start() :]


def _public(rest: str) -> str:
    """Path, query and fragment without the parameters whose name promises a secret."""
    path, *parameters = _split_parameters(rest)
    if not parameters:
        return rest
    kept = path
    opening = ""
    for separator, parameter in zip(parameters[::2], parameters[1::2], strict=True):
        opening = separator if separator in "?#" else opening or separator
        name, equals, _ = parameter.partition("=")
        if equals and _names_a_secret(unquote_plus(name)):
            continue
        kept += opening + parameter
        opening = ""
    return kept
