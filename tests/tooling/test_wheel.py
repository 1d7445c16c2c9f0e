"""The wheel: what an installed forgedb holds, and that it works away from its source tree."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

USE = """
import forgedb
with forgedb.connect("sqlite://", actor="user:ada") as db:
    applied = db.migrate()
    project = db.projects.create(slug="platform", name="Platform")
print(forgedb.__file__, len(applied), project.slug)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a copy of the source, so that building leaves nothing beside the original."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return next((source / "dist").glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_package(wheel):
    package = ROOT / "src/forgedb"
    files = {
        f"forgedb/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert any(name.endswith(".sql") for name in files)
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped == files


def test_an_installed_wheel_migrates_a_database(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    home, migrations, slug = done.stdout.split()
    assert Path(home).is_relative_to(site)
    assert int(migrations) >= 1
    assert slug == "platform"
