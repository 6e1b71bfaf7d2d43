"""`fourfold serve`: a REST interface and a page in front of `jobs`."""
