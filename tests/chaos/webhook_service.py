"""A service that takes webhooks in and does nothing else: ``webhook_service.py FOLDER [audit]``.

Prints its port and the secrets of both sources, in one line, then serves until it is killed. With
``audit`` each file that it opens to write is said in a line on standard error.
"""

import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import WebhookSecrets
from hooks.db import Database
from hooks.inbox import Inbox
from hooks.web import application
from hooks.web.server import make_server
from hooks.web.webhooks import Receiver

WROTE = "opened to write: "


def say_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        sys.stderr.write(f"{WROTE}{arguments[0]}\n")


def main(folder: Path, *, audit: bool) -> None:
    logging.basicConfig(level=logging.INFO)
    database = Database(f"sqlite:///{folder}/waas.db")
    database.migrate()
    secrets = WebhookSecrets(EncryptedFiles.init(folder / "secrets"), folder / "secrets")
    secrets.make()
    slugs = {"Codertocat/Hello-World": "workflow-registry"}
    receiver = Receiver(Inbox(database), secrets, slugs)
    waas = SimpleNamespace(webhooks=receiver, database=database)
    server = make_server(application.create(waas), "127.0.0.1", 0)
    if audit:
        sys.addaudithook(say_writes)
    print(server.effective_port, secrets.current("github"), secrets.current("git"), flush=True)
    server.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), audit="audit" in sys.argv[2:])
