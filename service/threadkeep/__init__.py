"""Threadkeep keeps conversations: durable threads, messages and agent runs, live over sockets.

Importing this package does no I/O and reads no setting.
"""

__version__ = "0.1.0"
