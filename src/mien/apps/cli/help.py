"""The help pages of the command line: options in groups, without a column of types, and examples at the end.

Typer's own pages are drawn by rich, which takes ``[yunet]`` for markup and gives a third of 80 columns to types. These
are plain text. Options name their group by ``rich_help_panel``, commands their examples by ``epilog``;
``mien.apps.cli.options`` has the titles and ``examples``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import typer

NAMES_WIDTH = 24
"""Columns of the names of options; a longer name has a line of its own."""


class HelpCommand(TyperCommand):
    """A command with a help page in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options, group by group; ``--help`` comes last."""
        _write_parameters(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is Typer's
        """Write the examples as they stand."""
        _write_examples(self.epilog, formatter)


class HelpGroup(TyperGroup):
    """A group of commands with a help page in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, group by group, then the options."""
        self.format_commands(ctx, formatter)
        _write_parameters(self.get_params(ctx), ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, group by group, each with the first sentence of its help."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        _write_sections(
            [
                (getattr(command, "rich_help_panel", None) or "Commands", (name, _first_sentence(command.help)))
                for name, command in commands
                if command is not None and not command.hidden
            ],
            formatter,
        )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is Typer's
        """Write the examples as they stand."""
        _write_examples(self.epilog, formatter)


def with_help_pages(app: typer.Typer, groups: Mapping[str, Iterable[str]] = MappingProxyType({})) -> None:
    """Give every command of an app, and of the apps in it, these help pages.

    Args:
        app: with all its commands.
        groups: titles for its own page, and the commands under each.
    """
    title_of = {name: title for title, names in groups.items() for name in names}
    app.info.cls, app.rich_markup_mode = HelpGroup, None
    for command in app.registered_commands:
        command.cls = HelpCommand
        command.rich_help_panel = title_of.get(str(command.name), command.rich_help_panel)
    for group in app.registered_groups:
        group.cls = HelpGroup
        group.rich_help_panel = title_of.get(str(group.name), group.rich_help_panel)
        if group.typer_instance is not None:
            with_help_pages(group.typer_instance)


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split()).partition(". ")[0].rstrip(".")


def _write_examples(epilog: str | None, formatter: Any) -> None:
    """Lines to copy, neither indented as text nor wrapped; as Markdown they are a block of code."""
    if epilog:
        lines = [line.removeprefix("  ") for line in epilog.splitlines() if line]
        formatter.write("\n" + "\n".join(lines) + "\n")


def _write_parameters(parameters: Iterable[Any], ctx: Any, formatter: Any) -> None:
    records = []
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is not None:
            # older Typers escape brackets for rich
            text = record[1].replace("\\[", "[")
            records.append((_group_of(parameter), (_names_of(parameter), text)))
    _write_sections(sorted(records, key=lambda entry: entry[0] == "Options"), formatter)


def _group_of(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    return getattr(parameter, "rich_help_panel", None) or ("Arguments" if is_argument else "Options")


def _names_of(parameter: Any) -> str:
    """The names as they are typed, and the value where the option names it: "-m, --model", "--csv FILE"."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    names = ", ".join(sorted(parameter.opts, key=len))
    if parameter.secondary_opts:  # a switch that can be turned off: --thumbnails, --no-thumbnails
        names = names.replace("--", "--[no-]")
    return f"{names} {parameter.metavar}" if parameter.metavar else names


def _write_sections(entries: Iterable[tuple[str, tuple[str, str]]], formatter: Any) -> None:
    """Definition lists under their titles, in the order in which titles come first."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for title, row in entries:
        sections.setdefault(title, []).append(row)
    widest = max((len(names) for rows in sections.values() for names, _ in rows), default=0)
    for title, rows in sections.items():
        # Click aligns each list by its own widest name; one width for all reads as one table
        padded = [(f"{names:<{min(widest, NAMES_WIDTH)}}", text) for names, text in rows]
        with formatter.section(title):
            formatter.write_dl(padded, col_max=NAMES_WIDTH + 2)
