"""The command `funnelwatch`. Each subcommand is imported when it is called, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn

import click
import msgspec

from schemas.errors import FunnelwatchError

WRONG = 2  # exit code: the user's files, settings or servers
INTERRUPTED = 130  # as shells report Ctrl-C
CLOSED = 1  # nobody reads our output any more


class Lazy(msgspec.Struct, frozen=True):
    """A subcommand: where it is, as "module:attribute", and its line in the list of commands."""

    path: str
    summary: str


#: All subcommands, in the order in which a user meets them.
COMMANDS: dict[str, Lazy] = {
    "inspect": Lazy("streams.commands.inspect:inspect", "Look at a topic or a file: encoding, mapping, dead letters."),
    "batch": Lazy("streams.commands.batch:batch", "Evaluate funnels over files, without Kafka."),
    "check": Lazy("streams.commands.check:check", "Say what is wrong with settings and definitions, or what will run."),
    "topics": Lazy(
        "streams.commands.topics:topics", "Make the topics that funnelwatch needs, or print how to make them."
    ),
    "run": Lazy(
        "streams.commands.run:run", "Follow the funnels: the worker, and the sink that writes into ClickHouse."
    ),
    "lag": Lazy("streams.commands.lag:lag", "Show how far worker and sink are behind."),
    "leave": Lazy("streams.commands.leave:leave", "Tell Kafka that a worker will not come back."),
    "replay": Lazy("streams.commands.replay:replay_command", "Send the events of files to a source's topic."),
    "traffic": Lazy("streams.commands.traffic:traffic", "Send a simulated shop's visitors to a source's topic."),
    "report": Lazy("streams.commands.report:report", "Show a funnel as ClickHouse has it."),
    "dead-letters": Lazy(
        "streams.commands.dead_letters:dead_letters", "List, show and put back what could not be used."
    ),
    "forget": Lazy("streams.commands.forget:forget", "Erase what is stored of a person."),
    "rights": Lazy("streams.commands.rights:rights", "List the ACLs and grants that each command needs."),
    "migrate": Lazy("streams.commands.migrate:migrate", "Make ClickHouse's tables, or bring them up to date."),
    "alerts": Lazy(
        "streams.commands.alerts:alerts", "Test whether alerts reach people, and replay the past through them."
    ),
    "annotate": Lazy("streams.commands.annotate:annotate", "Mark a release or the like on dashboards and in pages."),
    "seed": Lazy("streams.commands.seed:seed", "Learn what to expect from a history that was kept elsewhere."),
    "rules": Lazy("streams.commands.rules:rules", "Write Prometheus' recording and alerting rules for the funnels."),
    "demo": Lazy("streams.commands.demo:demo", "A shop with live traffic, Kafka and ClickHouse on this machine."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are those of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module, _, attribute = lazy.path.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])


def tell_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    """Prints the version, and whether the engine's compiled part is in use: `compiled` or `pure`."""
    if not wanted:
        return
    from streams.engine.usual import COMPILED

    click.echo(f"funnelwatch, version {version('funnelwatch')}, {'compiled' if COMPILED else 'pure'}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=tell_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Watches conversion funnels: Kafka clickstream in, live drop-offs and alerts out."""


def main() -> NoReturn:
    """The program's entry point: runs the command line and ends with its exit code."""
    sys.exit(exit_code(sys.argv[1:]))


def exit_code(arguments: list[str]) -> int:
    """Runs the command line `arguments`. What a user can cause is one line on standard error, never a traceback."""
    try:
        result = cli.main(arguments, prog_name="funnelwatch", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FunnelwatchError as error:
        click.echo(f"Error: {error}", err=True)
        return WRONG
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return CLOSED
    return result if isinstance(result, int) else 0


def _forget_output() -> None:
    """Gives standard output a place to go, so that Python's own flush at the end says nothing either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
