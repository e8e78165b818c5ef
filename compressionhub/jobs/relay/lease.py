"""One relay is active at a time. The lease only saves work: correctness rests on the rows' unique keys and locks."""

import secrets
import socket

import redis

KEY = "hub:relay:lease"
LEASE_MS = 4000

_RENEW = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
)
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class Lease:
    """A key that lives four seconds unless its holder renews it."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.holder = f"{socket.gethostname()}-{secrets.token_hex(4)}"

    def take(self) -> bool:
        """Take or renew the lease; whether it is ours now."""
        if self._client.eval(_RENEW, 1, KEY, self.holder, str(LEASE_MS)):
            return True
        return bool(self._client.set(KEY, self.holder, nx=True, px=LEASE_MS))

    def release(self) -> None:
        """Give it up, so that the next relay need not wait."""
        self._client.eval(_RELEASE, 1, KEY, self.holder)
