"""The lock files: every package pinned to its files' hashes, and none tied to one index."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = r"([a-z0-9-]+)(?:\[[a-z,]+\])?"
"""A package, and its extras: without them pip 23 takes what asks for one for another package, whose
newest version it refuses since it has no hash."""

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pinned_in(lock: Path) -> dict[str, str]:
    return dict(re.findall(rf"^{NAME}==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_locked_package_has_a_version_and_hashes(lock):
    text = re.sub(r"^\s*#.*\n?", "", lock.read_text(), flags=re.MULTILINE)
    requirements = text.replace("\\\n", " ").splitlines()
    assert requirements
    for requirement in requirements:
        assert re.fullmatch(rf"{NAME}==\S+(\s+--hash=sha256:[0-9a-f]{{64}})+", requirement)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_files_name_no_index_host_or_folder_of_one_machine(lock):
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|\s/", lock.read_text())


def test_what_forgedb_depends_on_is_locked_in_the_same_version_for_users_and_developers():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run = pinned_in(ROOT / "requirements/run.txt")
    dev = pinned_in(ROOT / "requirements/dev.txt")
    assert {re.split(r"[<>=]", needed)[0] for needed in project["dependencies"]} <= run.keys()
    assert run.items() <= dev.items()


def test_what_is_needed_with_an_extra_is_locked_with_it():
    dev = (ROOT / "requirements/dev.txt").read_text()
    assert re.search(r"^coverage\[toml\]==", dev, re.MULTILINE)
    assert re.search(r"^pyright\[nodejs\]==", dev, re.MULTILINE)
