"""Other projects' weight files to ours."""
