"""Input compression with a learned image codec: CompressAI's models before the teacher.

Source: docs/papers.md#learned-codecs.
"""
