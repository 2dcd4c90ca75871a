"""The package's interface to the operating system: atomic files, locks, walks, the environment of jobs."""
