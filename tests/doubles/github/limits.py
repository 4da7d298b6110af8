"""GitHub's rate limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""

from __future__ import annotations

from .calls import RefusedError
from .world import Token, World

HOUR = 3600
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
)


class RateLimits:
    """Requests of each token in its hour."""

    def __init__(self, world: World, limit: int = 5_000) -> None:
        self._world, self.limit = world, limit

    def state(self, token: Token) -> dict[str, int]:
        """As ``GET /rate_limit`` tells it."""
        now = self._world.time()
        if token.reset <= now:
            token.used, token.reset = 0, int(now) + HOUR
        left = max(self.limit - token.used, 0)
        return {"limit": self.limit, "remaining": left, "reset": token.reset, "used": token.used}

    def headers(self, token: Token) -> dict[str, str]:
        state = self.state(token)
        told = {f"X-RateLimit-{name.title()}": str(value) for name, value in state.items()}
        return told | {"X-RateLimit-Resource": "core"}

    def take(self, token: Token) -> None:
        """Count a request. Raises 403 when there is none left."""
        if self.state(token)["remaining"] == 0:
            raise self.exceeded(token)
        token.used += 1

    def exceeded(self, token: Token) -> RefusedError:
        number = self._world.user(token.login).id
        return RefusedError(403, f"API rate limit exceeded for user ID {number}.")

    def exhaust(self, token: Token, seconds: float) -> RefusedError:
        """As if all was used up; there is more after so many seconds."""
        self.state(token)
        token.used, token.reset = self.limit, int(self._world.time() + seconds)
        return self.exceeded(token)


def secondary(seconds: float) -> RefusedError:
    return RefusedError(403, SECONDARY, headers={"Retry-After": str(int(seconds))})
