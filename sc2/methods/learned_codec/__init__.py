"""Input compression with a learned image codec: CompressAI's models in front of the teacher.

Source: docs/papers.md#learned-codecs.
"""
