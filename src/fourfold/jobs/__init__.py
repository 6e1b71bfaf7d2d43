"""From a request to results: pictures, folders and films; names, claims and progress."""
