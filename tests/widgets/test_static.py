"""The canvas module: plain scripts that are joined into one."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

_NAMED = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)


def test_every_name_is_declared_by_one_script():
    scripts = [f for f in (files("rdmviz.widgets") / "static").iterdir() if f.name.endswith(".js")]
    names = Counter(name for script in scripts for name in _NAMED.findall(script.read_text(encoding="utf-8")))
    assert len(names) > 50
    assert [name for name, count in names.items() if count > 1] == [], "one module knows each name once"
