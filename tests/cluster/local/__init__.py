"""A real two-node Kubernetes on this machine, for tests: built from source, started as processes.

`python -m tests.cluster.local up | down | status`. One cluster per machine; any checkout adopts a
running one. Nothing here knows Threadkeep; what is installed into the cluster others decide.
"""
