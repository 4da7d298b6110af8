"""Deliveries by HTTP: nothing is parsed, logged or written before the signature holds."""

from hooks.web.webhooks.receiver import Receiver, before
from hooks.web.webhooks.signatures import sign

__all__ = ["Receiver", "before", "sign"]
