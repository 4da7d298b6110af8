"""A service that takes webhooks in and does nothing else: ``webhook_service.py FOLDER``.

Prints its port and the secrets of both sources, in one line, then serves until it is killed.
"""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import WebhookSecrets
from hooks.db import Database
from hooks.inbox import Inbox
from hooks.web import application
from hooks.web.server import make_server
from hooks.web.webhooks import Receiver


def main(folder: Path) -> None:
    logging.basicConfig(level=logging.INFO)
    database = Database(f"sqlite:///{folder}/waas.db")
    database.migrate()
    secrets = WebhookSecrets(EncryptedFiles.init(folder / "secrets"), folder / "secrets")
    secrets.make()
    slugs = {"Codertocat/Hello-World": "workflow-registry"}
    receiver = Receiver(Inbox(database), secrets, slugs)
    waas = SimpleNamespace(webhooks=receiver, database=database)
    server = make_server(application.create(waas), "127.0.0.1", 0)
    print(server.effective_port, secrets.current("github"), secrets.current("git"), flush=True)
    server.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
