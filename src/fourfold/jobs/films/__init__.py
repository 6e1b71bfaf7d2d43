"""Films in, larger films out: settings, resumable work, progress."""
