"""Names that are links into the package, for readers: pytest must not import them a second time."""

collect_ignore = ["criterions", "tasks"]
