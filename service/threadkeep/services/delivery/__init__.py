"""Delivery: how what is appended reaches its subscribers. Others import the names below alone.

To be read in this order: `frames`, what a connection gets; `streams`, text that is not in the log
yet; `feeds`, the live end of one thread; `joins` and `subscriptions`, the way of one reader to it;
`texts`, which reads text for feeds; `user_feeds`, the lists of a user; `registry`, who is
subscribed; `sweeps`, which finds what nobody has told; and `delivery`, the front of it all.
All of them share a `stage`, and `tasks` for work that nobody awaits.
"""

from __future__ import annotations

from threadkeep.services.delivery.delivery import Delivery
from threadkeep.services.delivery.frames import Frame
from threadkeep.services.delivery.stage import Counts
from threadkeep.services.delivery.subscriptions import Sink, Subscription
from threadkeep.services.delivery.user_feeds import UserSubscription

__all__ = ["Counts", "Delivery", "Frame", "Sink", "Subscription", "UserSubscription"]
