"""One shell for all console blocks of a page: what is shown under a command is what it prints."""

from __future__ import annotations

import re
import subprocess
from typing import NamedTuple

PROMPT = "$ "
CONTINUATION = "> "
VARYING = "..."
STATUS_QUESTION = "echo $?"

_END = "end of command, status"


class Command(NamedTuple):
    """A command as a page shows it; ``output`` is empty where none is shown."""

    line: int
    text: str
    output: str


def commands_in(text: str) -> list[Command]:
    """The ``$ `` lines of a block, with ``> `` lines that continue them and what follows."""
    found: list[Command] = []
    for number, line in enumerate(text.splitlines()):
        if line.startswith(PROMPT):
            found.append(Command(number, line.removeprefix(PROMPT), ""))
            continue
        if not found:
            raise ValueError(f"{line!r} comes before any command: begin with {PROMPT!r}")
        last = found[-1]
        # An empty line of a file has no blank behind it.
        if f"{line} ".startswith(CONTINUATION) and not last.output:
            joined = f"{last.text}\n{line[len(CONTINUATION) :]}"
            found[-1] = last._replace(text=joined)
        else:
            found[-1] = last._replace(output=f"{last.output}{line}\n")
    return found


def is_shown(output: str, printed: str) -> bool:
    """Whether a page shows what was printed, ``...`` standing for anything that varies."""
    pattern = ".*?".join(re.escape(part) for part in _plain(output).split(VARYING))
    return re.fullmatch(pattern, _plain(printed), re.DOTALL) is not None


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


class Shell:
    """A shell that lives as long as its page: folders and variables stay as commands left them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, command: str) -> tuple[str, int]:
        """What the command printed, on both streams, and its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        script = (
            f"{{ {command}\n}} </dev/null; status=$?; printf '\\n{_END} %s\\n' $status;"
            " (exit $status)\n"
        )
        self._process.stdin.write(script.encode())
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            text = line.decode()
            if text.startswith(_END):
                return printed.removesuffix("\n"), int(text.rpartition(" ")[2])
            printed += text
        raise AssertionError(f"the shell ended in {command!r}, after it printed: {printed}")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
