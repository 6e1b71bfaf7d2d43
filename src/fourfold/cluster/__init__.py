"""Folders of any size, wherever they are, enlarged by many workers."""
