"""What a shell needs to complete the command."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from mailstat.report import Column, Report, Section

NAME = "completion"
HELP = "a script for your shell, with which it completes reports, options and their values"
DESCRIPTION = (
    "A script with which a shell completes reports, options and their values. bash: mailstat completion bash > "
    "/etc/bash_completion.d/mailstat. zsh: mailstat completion zsh > _mailstat, in a folder of $fpath. fish: "
    "mailstat completion fish > ~/.config/fish/completions/mailstat.fish."
)
READS_LOG = False
SHELLS = ("bash", "zsh", "fish", "tcsh")


def add_arguments(parser: ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")


def make(options: Namespace) -> Report:
    """Describe the command to the shell."""
    import shtab  # noqa: PLC0415 - the help of all reports must not wait for it

    from mailstat.synopsis import synopsis, takes_file  # noqa: PLC0415 - it knows the command, which knows us

    parser, parts = synopsis()
    for one in (parser, *parts):
        for action in one._actions:
            if takes_file(action):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    lines = shtab.complete(parser, options.shell).expandtabs(4).splitlines()
    section = Section("", [Column("line")], [[line] for line in lines])
    return Report(NAME, f"Completion of {options.shell}", [section], lines=lines)
