"""The commands that are not stages, a file each."""
