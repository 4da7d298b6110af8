"""The inbox: every delivery is stored durably before it is answered, and handled to an end.

A delivery's content is a hint ("look at this ref"); what is done about it depends on what the
forge says at that moment, so that lost, doubled and late deliveries all come to the same.
"""

from hooks.inbox.inbox import Inbox
from hooks.inbox.rows import Accepted
from hooks.inbox.spells import Handler
from hooks.inbox.tries import ATTEMPTS

__all__ = ["ATTEMPTS", "Accepted", "Handler", "Inbox"]
