"""Handlers, one module per noun: validate, call one use case, answer."""
