"""Mechanisms broken on purpose: a scenario that stays green with one of them broken proves nothing.

`python -m tests.sabotage NAME serve …` is the service with one mechanism broken in its process;
`controls` lists what is broken, how, and which scenario tests must turn red, for which reason.
Nothing of this is in the product.
"""
