"""Arrays in, larger arrays out; no torch at import."""
