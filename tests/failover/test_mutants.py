"""The suite finds each bug that it is there for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from forgedb.testing.failover.suite import RUNS
from tests.failover.mutants import MUTANTS
from tests.servers.postgres import embedded_programs


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_failover_shows_the_bug(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, rule = MUTANTS[mutant]
    mutant(monkeypatch)
    result = RUNS[kind](embedded_programs(), failovers=1, seed=20261129)
    assert rule in {fault.rule for fault in result.faults}
