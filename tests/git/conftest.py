"""What the tests of the git package share: settings of their own, and a git that misbehaves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

FakeGit = Callable[[str], None]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def fake_git(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FakeGit:
    """Put a shell script in git's place; in it, ``$git`` is the real one."""

    def put(script: str) -> None:
        folder: Path = tmp_path_factory.mktemp("bin")
        program = folder / "git"
        program.write_text(f"#!/bin/sh\ngit='{shutil.which('git')}'\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return put
