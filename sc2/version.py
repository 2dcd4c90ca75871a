"""The version of the package; alone in its file, because every module's code hash includes `sc2/__init__.py`."""

VERSION = "0.2.0"
