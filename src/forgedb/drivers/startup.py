"""Waiting for a database that is starting: which errors may pass, and which won't."""

from __future__ import annotations

import re
import time
from typing import Any

from forgedb.drivers.timeouts import check_seconds
from forgedb.errors import ForgeDbError, LockTimeout, Unavailable

WAIT_SECONDS_MAX = 86_400.0

PAUSE_SECONDS = 0.25
PAUSE_SECONDS_MAX = 2.0

TO_COME = r'database ".*" does not exist|there is no folder '
"""The errors about a database or folder that may be made, or mounted, a little later."""


def is_starting(error: ForgeDbError) -> bool:
    """Whether the error may pass: no server, no host name, no database or folder yet.

    An error that stays, such as a wrong password, is none of these.
    """
    if not isinstance(error, Unavailable) or isinstance(error, LockTimeout):
        return False
    return error.retryable or re.search(TO_COME, error.why) is not None


class Start:
    """One opening of a database, which may take ``wait``: a timedelta, or seconds.

    Raises InvalidValue.
    """

    def __init__(self, wait: Any) -> None:
        seconds = check_seconds("wait", wait, WAIT_SECONDS_MAX, may_be_none=True)
        self._give_up_at = time.monotonic() + seconds
        self._pause = PAUSE_SECONDS

    def pause(self, error: ForgeDbError) -> float:
        """Seconds to wait before the next attempt; raises the error where there is to be none."""
        left = self._give_up_at - time.monotonic()
        if left <= 0 or not is_starting(error):
            raise error
        pause, self._pause = self._pause, min(self._pause * 2, PAUSE_SECONDS_MAX)
        return min(pause, left)
