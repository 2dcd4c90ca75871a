"""Errors that a user can act on.

All errors that the package raises deliberately derive from `SC2Error`; the command line prints such an error without a
traceback and exits with status 2. A message names the file, the key and the fix.
"""


class SC2Error(Exception):
    """Base of every error whose message is written for the user."""


class ConfigError(SC2Error):
    """The configuration is wrong; the message lists every problem found."""


class DataError(SC2Error):
    """A data set or archive is missing, truncated, altered or unreadable."""


class FolderError(SC2Error):
    """A folder cannot be walked: something in it is unreadable, a dangling link, or a loop."""


class WireError(SC2Error):
    """A container or payload is damaged, or belongs to another model."""


class CheckpointError(SC2Error):
    """A checkpoint is missing, unreadable, or not the one that is needed."""


class ProvenanceError(SC2Error):
    """A record is missing, damaged, or disagrees with the files beside it."""
