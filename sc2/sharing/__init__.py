"""Results by their content: which files a lock names, DVC's cache of them here, and a remote that holds them too."""
