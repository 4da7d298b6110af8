"""``waas``: the command line. Starts fast: a command's module is imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys

import click

from ci.errors import EntryError, WaasError

_COMMANDS = {
    # service side
    "demo": "hooks.cli.demo:demo",
    "init": "hooks.cli.service:init",
    "serve": "hooks.cli.service:serve",
    "work": "hooks.cli.service:work",
    "tokens": "hooks.cli.service:tokens",
    "deliveries": "hooks.cli.deliveries:deliveries",
    "webhooks": "hooks.cli.webhooks:webhooks",
    "github": "hooks.cli.github:github",
    "builds": "hooks.cli.builds:builds",
    "git": "hooks.cli.git:git",
    "sites": "hooks.cli.sites:sites",
    "deployments": "hooks.cli.sites:deployments",
    "deploy": "hooks.cli.deploy:deploy",
    "rollback": "hooks.cli.deploy:rollback",
    "undeploy": "hooks.cli.deploy:undeploy",
    # authors, on any checkout
    "validate": "hooks.cli.validate:validate",
    "plan": "hooks.cli.author:plan",
    "recipe": "hooks.cli.author:recipe",
    "build": "hooks.cli.author:build",
    "images": "hooks.cli.images:images",
    # users
    "workflows": "hooks.cli.user:workflows",
    "executions": "hooks.cli.user:executions",
    "ssh_keys": "hooks.cli.user:ssh_keys",
}

_SHORT = {
    "demo": "The whole story in one go, on a throw-away service home.",
    "init": "Make a service home.",
    "serve": "Web application and one worker.",
    "work": "One more worker.",
    "tokens": "API tokens: create, list, revoke.",
    "deliveries": "Every push and webhook, and what became of it.",
    "webhooks": "The secrets that webhooks are signed with: show, change.",
    "github": "Connections to GitHub: make them, check them.",
    "builds": "Image builds: list them, read their logs, cancel them.",
    "git": "The repositories that we host: who may use them.",
    "sites": "The sites: list them, check that they can be used.",
    "deployments": "Which workflow is in place where.",
    "deploy": "Put a workflow in place at a site, again.",
    "rollback": "Go back to the version before, at a site.",
    "undeploy": "Remove a workflow from a site.",
    "validate": "Judge a registry checkout, offline.",
    "plan": "What a workflow needs at each site, and why.",
    "recipe": "Print the recipe of a step's image.",
    "build": "Build a step's image.",
    "images": "The image store.",
    "workflows": "List workflows and run them.",
    "executions": "Follow, cancel and read your executions.",
    "ssh_keys": "Your SSH keys for the clusters.",
}


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of a user's first day."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list for ``--help``, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SHORT[name]) for name in _COMMANDS])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", metavar="FILE", help="Settings of the service home ($WAAS_CONFIG).")
@click.option("--api_url", metavar="URL", help="Where the service answers ($HW_API_URL).")
@click.option("-t", "--access_token", metavar="TOKEN", help="Your token ($HW_ACCESS_TOKEN).")
@click.version_option(package_name="hpcwaas", prog_name="waas")
@click.pass_context
def waas(ctx: click.Context, /, **options: str | None) -> None:
    """Run HPC workflows on clusters, from git."""
    ctx.ensure_object(dict)
    ctx.obj.update(options)


def _place(error: EntryError) -> str:
    """Where an error is, as compilers write it; nothing if it is not in a file."""
    parts = [error.path, *(str(number) for number in (error.line, error.column) if number)]
    return f"{':'.join(parts)}: " if error.path else ""


def _is_text(word: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in word)  # PEP 383


def main() -> None:
    """The entry point. Errors are sentences; exit 1 for what was asked, 2 for what cannot run."""
    try:
        if not all(map(_is_text, sys.argv)):
            raise EntryError("what was typed is not UTF-8")
        code = waas.main(standalone_mode=False)  # what a command ended with, if not its value
        sys.exit(code if isinstance(code, int) else 0)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except WaasError as error:
        place = _place(error) if isinstance(error, EntryError) else ""
        text = click.style("error: ", fg="red", bold=True) + place + str(WaasError(error.message))
        click.echo(text, err=True)
        if error.hint:
            click.echo(f"       {error.hint}", err=True)
        sys.exit(2)
    except Exception as error:  # the edge: a defect of ours is a sentence here too
        if os.environ.get("WAAS_DEBUG"):
            raise
        click.echo(f"error: internal error: {type(error).__name__}: {error}", err=True)
        click.echo("       WAAS_DEBUG=1 shows where; please report it", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
