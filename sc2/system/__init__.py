"""What the operating system is asked for, each in one way: whole files, locks, walks, the environment of jobs."""
