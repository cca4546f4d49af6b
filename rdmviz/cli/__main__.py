"""``python -m rdmviz.cli``."""

from rdmviz.cli import main

raise SystemExit(main())
