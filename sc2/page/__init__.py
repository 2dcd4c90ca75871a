"""The results page: one file with everything in it, for readers who run nothing."""
