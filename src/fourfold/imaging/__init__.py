"""Pure functions on NumPy images."""
