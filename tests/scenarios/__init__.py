"""Promises, proven through URLs and credentials; the same files run anywhere."""
