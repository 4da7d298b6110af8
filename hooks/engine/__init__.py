"""Durable work: flows made of recorded steps, on DBOS Transact.

Nothing outside this package imports ``dbos``, so that the engine stays replaceable.
"""

from hooks.engine.durable import AT_LEISURE, Cancelled, Engine, Flow, Stopping

__all__ = ["AT_LEISURE", "Cancelled", "Engine", "Flow", "Stopping"]
