"""Provenance: hashes of code, a record beside every output, `trace` and `verify`.

Nothing is re-exported here: an `__init__` counts towards the code fingerprint of every job that imports below it.
"""
