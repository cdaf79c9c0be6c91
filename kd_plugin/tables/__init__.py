"""A paper's table as a file: what it says, the steps it becomes, what came out, the page it makes.

:mod:`.table` reads the YAML, :mod:`.plan` compiles it into :mod:`.steps` (a pure function),
``scripts/Snakefile`` runs these, :mod:`.ledger` keeps what came out, :mod:`.report` shows it.
"""
