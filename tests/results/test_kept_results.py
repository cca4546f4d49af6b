"""The results page in the docs: written by the command, from figures of all settings, controls and seeds."""

from __future__ import annotations

import json

import pytest
from make_results import DOCS, FEWEST_SEEDS, KEPT, written
from results.running import settings

HELD = json.loads(KEPT.read_text())


def test_the_page_is_what_the_command_writes_of_the_figures():
    assert (DOCS / "results.md").read_text() == written(HELD)


@pytest.mark.parametrize("name", settings())
def test_every_variant_was_measured_with_enough_seeds(name):
    setting = settings((name,))[name]
    assert list(HELD["settings"][name]) == list(setting.variants)
    for runs in HELD["settings"][name].values():
        assert len(runs) >= FEWEST_SEEDS
        assert all(claim.figure in one["figures"] for one in runs.values() for claim in setting.claims)
    assert (DOCS / "images" / f"results_{name}.svg").is_file()
