"""Delivery: how what is appended reaches its subscribers. Others import the names below alone.

To be read in this order: `frames`, what a connection gets and must offer; `streams`, text that
is not in the log yet; `feeds`, the live end of one thread, and `texts`, which reads for it;
`joins` and `subscriptions`, the way of one reader to that end; `user_feeds`, the lists of a
user; `registry`, who is subscribed; `sweeps`, what finds the things that nobody told; and
`delivery`, the front of it all. `tasks` keeps the work that nobody awaits.
"""

from __future__ import annotations

from threadkeep.services.delivery.delivery import Delivery
from threadkeep.services.delivery.feeds import Counts
from threadkeep.services.delivery.frames import Frame, Sink
from threadkeep.services.delivery.subscriptions import Subscription
from threadkeep.services.delivery.user_feeds import UserSubscription

__all__ = ["Counts", "Delivery", "Frame", "Sink", "Subscription", "UserSubscription"]
