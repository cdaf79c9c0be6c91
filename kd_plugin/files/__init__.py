"""Long work on disk: whole files, blocks that survive a kill, shards."""
