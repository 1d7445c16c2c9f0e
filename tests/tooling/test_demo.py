"""``make demo``: what it does in a checkout, once everything is installed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_demo(checkout: Path) -> "subprocess.CompletedProcess[str]":
    """Run the demo there with the programs of this very environment: nothing is installed."""
    programs = Path(sys.executable).parent
    command = ["make", "--file", str(ROOT / "Makefile"), "demo", "RUN=", f"BIN={programs}"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)


def test_demo_works_without_a_remote_and_a_second_time(tmp_path):
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(
        [*git, "commit", "--quiet", "--allow-empty", "--message=First"], cwd=tmp_path, check=True
    )
    for _ in range(2):
        done = make_demo(tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "forge.db").is_file()


def test_demo_never_touches_the_database_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv("FORGEDB_URL", f"sqlite:///{tmp_path}/precious.db")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    done = make_demo(tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "precious.db").exists()
