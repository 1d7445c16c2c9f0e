"""URLs of other copies of a repository, as Git has them, without passwords and tokens.

These URLs are shown, exported and kept in the audit trail for ever, so they must not hold a secret.
Nothing here checks whether a remote exists.
"""

from __future__ import annotations

import re

from forgedb.errors import InvalidValue
from forgedb.limits import REMOTE_URL_CHARS_MAX
from forgedb.validation import check_text

NOT_SHOWN = "(not shown)"

# git+ssh://git@host names an account, not a secret; elsewhere the user may itself be a token.
_SCHEMES_WITH_ACCOUNTS = ("ssh", "git+ssh", "ssh+git", "svn+ssh", "sftp")

_HELPER = r"(?:[A-Za-z0-9][A-Za-z0-9+.-]*::)*"
_URL = r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)"
_SECRET_NAME = (
    r"token|secret|passw|pwd|api[_-]?key|access[_-]?key|private[_-]?key|credential|signature"
    r"|auth(?!or)|authori[sz]ation|^(?:key|pat|sig)$"
)
# The first is the schema's rule, for any scheme; the second is for addresses without a scheme.
_PASSWORD_AFTER_SLASHES = r".*?://[^/]*:[^/]*@"
_PASSWORD_BEFORE_HOST = r"[^/\\:@]+:[^/\\@]+@"


def check_remote_url(field: str, value: object) -> str:
    """A Git URL, SSH address or path without credentials.

    Raises InvalidValue, which shows no secret of the value.
    """
    if not isinstance(value, str):
        raise InvalidValue(field, type(value), "it must be text")
    if not 0 < len(value) <= REMOTE_URL_CHARS_MAX:
        raise InvalidValue(field, NOT_SHOWN, f"it must have 1 to {REMOTE_URL_CHARS_MAX} characters")
    stripped, had_credentials = strip_credentials(value)
    if had_credentials or _may_have_password(value):
        raise InvalidValue(
            field,
            stripped if had_credentials else NOT_SHOWN,
            "a password or token has no place in a URL that is kept: leave it out, and name where"
            " it is kept safely",
        )
    check_text(field, value, REMOTE_URL_CHARS_MAX)
    if value.startswith("-"):
        raise InvalidValue(field, value, "git would take it for an option: write ./ before a path")
    if any(character < " " or character == "\x7f" for character in value):
        raise InvalidValue(field, value, "it holds a control character: leave it out")
    return value


def strip_credentials(url: str) -> tuple[str, bool]:
    """The URL without user, password and secret parameters, and whether it had any.

    An SSH account (``git@host:path``, ``ssh://git@host/path``) stays, and so does a local path.
    """
    helper = _helper(url)
    found = re.compile(_URL, re.DOTALL).fullmatch(url, len(helper))
    if found is None:
        return url, False
    scheme, authority, rest = found.groups()
    authority, rest = _with_slashes_of_a_password(authority, rest)
    user, at, host = authority.rpartition("@")
    account = user.partition(":")[0] if scheme.lower() in _SCHEMES_WITH_ACCOUNTS else ""
    stripped = f"{helper}{scheme}://{account}{at if account else ''}{host}{_public(rest)}"
    return stripped, stripped != url


def _helper(url: str) -> str:
    """The prefix that names a remote helper of git, such as ``hg::``."""
    found = re.match(_HELPER, url)
    assert found is not None, "the pattern matches nothing too"
    return found[0]


def _with_slashes_of_a_password(authority: str, rest: str) -> tuple[str, str]:
    """``user:pa/ss@host/path`` is no valid URL, but people write it, and ``ss`` is a secret."""
    _, at, host = authority.rpartition("@")
    port = host.partition(":")[2]
    is_sound = host != "" if at else host.startswith("[") or not port or port.isdecimal()
    if is_sound or "@" not in rest:
        return authority, rest
    more, at, host_and_path = rest.rpartition("@")
    slash = re.search(r"[/?#]|$", host_and_path)
    assert slash is not None, "the pattern matches the end too"
    host = host_and_path[: slash.start()]
    return authority + more + at + host, host_and_path[slash.start() :]


def _public(rest: str) -> str:
    """Path, query and fragment without the parameters whose name suggests a secret."""
    path, *parameters = re.split(r"([?#&;])", rest)
    if not parameters:
        return rest
    # Imported where it is needed: most URLs have no parameters.
    from urllib.parse import unquote_plus

    names_a_secret = re.compile(_SECRET_NAME, re.IGNORECASE).search
    kept = path
    opening = ""
    for separator, parameter in zip(parameters[::2], parameters[1::2], strict=True):
        opening = separator if separator in "?#" else opening or separator
        name, equals, _ = parameter.partition("=")
        if equals and names_a_secret(unquote_plus(name)):
            continue
        kept += opening + parameter
        opening = ""
    return kept


def _may_have_password(url: str) -> bool:
    """Whether a URL that git can't parse, or an SSH address, looks like ``user:password@``."""
    if "://" in url:
        return re.match(_PASSWORD_AFTER_SLASHES, url, re.DOTALL) is not None
    return re.compile(_PASSWORD_BEFORE_HOST).match(url, len(_helper(url))) is not None
