"""What went wrong on an SSH connection, told to a person, and whether trying again may help."""

from __future__ import annotations

import socket

from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    NoValidConnectionsError,
    SSHException,
)

from ci.errors import SiteError

# All that paramiko and the socket below it raise when the world does not play along.
FAULTS = (SSHException, EOFError, OSError)

_LOGIN_HINT = "add the login's public key to ~/.ssh/authorized_keys on the site, and check the user"
_HOST_HINT = (
    "ask the site's operators whether the key was changed; if it was, put the new one"
    " (from `ssh-keyscan`, compared with what they publish) into transport.host_keys"
)


def connection_error(error: BaseException, site: str, where: str) -> SiteError:
    """Why there is no connection; ``where`` is ``user@host:port``."""
    if isinstance(error, SiteError):
        return error
    if isinstance(error, BadHostKeyException):
        message = f"{where}: the host key is not the pinned one; nothing was sent to it"
        return SiteError(message, site=site, hint=_HOST_HINT)
    if isinstance(error, AuthenticationException) and "timeout" not in str(error).lower():
        return SiteError(f"{where}: the login was refused", site=site, hint=_LOGIN_HINT)
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        message = f"{where}: no such host name"
        return SiteError(message, site=site, hint="check transport.host in the site's file")
    reason = f"{where}: {_reason(error)}"
    return SiteError(reason, site=site, transient=True)


def file_error(error: BaseException, site: str, what: str) -> SiteError:
    """Why a file was not moved; ``what`` is ``read /path`` or ``write /path``."""
    if isinstance(error, SiteError):
        return error
    if isinstance(error, FileNotFoundError):
        return SiteError(f"cannot {what}: no such file or folder", site=site)
    if isinstance(error, PermissionError):
        return SiteError(f"cannot {what}: permission denied", site=site)
    if isinstance(error, OSError) and error.errno is None and str(error) == "Failure":
        # SFTP's word for all the rest; trying again gets the same answer
        hint = "look for a full disk, an exceeded quota or a folder of that name"
        return SiteError(f"cannot {what}: the site refused", site=site, hint=hint)
    return SiteError(f"cannot {what}: {_reason(error)}", site=site, transient=True)


def _reason(error: BaseException) -> str:
    if isinstance(error, NoValidConnectionsError):
        causes = {str(getattr(cause, "strerror", cause)) for cause in error.errors.values()}
        return "; ".join(sorted(causes)).lower()
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError):
        return "the connection was closed"
    return str(error) or type(error).__name__
