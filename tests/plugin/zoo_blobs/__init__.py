"""Blobs, a model for the zoo."""
