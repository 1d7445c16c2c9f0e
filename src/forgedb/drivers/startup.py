"""Waiting for a database that starts: what may still come, and what won't by itself."""

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
"""What somebody makes, or mounts, while the server runs already."""


def is_starting(error: ForgeDbError) -> bool:
    """Whether it may be another moment's: no server, no name of one, no database or folder yet.

    What is refused for good, as by a wrong password, isn't.
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
