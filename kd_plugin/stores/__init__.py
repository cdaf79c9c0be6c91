"""Files that long work writes: resumable, and with a manifest that says what they are."""
