"""Neural input compression: learned image codecs in front of a whole reference model.

Source: docs/papers.md#learned-codecs.
"""
