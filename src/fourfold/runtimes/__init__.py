"""What runs a network: one seam, several backends; no torch at import."""
