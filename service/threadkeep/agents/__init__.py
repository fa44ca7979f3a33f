"""Agents that run inside the service. They know services, never storage."""
