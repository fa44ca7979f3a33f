"""The load generator of the scaling scenarios: a program of its own, apart from the tests.

`python -m tests.scenarios.scaling.load` takes a plan as JSON and answers with what it saw. It
speaks HTTP and WebSocket by itself: no library stands between the clock and the socket, so that
it is never what limits a figure. `ceiling` plans show that: the same users against a server that
does nothing.
"""
