"""``evalc completion``."""

from __future__ import annotations

import click

from evalc.cli.output import say

EPILOG = """
\b
Put one of these where your shell starts:
  bash (~/.bashrc):                   eval "$(evalc completion bash)"
  zsh  (~/.zshrc):                    eval "$(evalc completion zsh)"
  fish (~/.config/fish/config.fish):  evalc completion fish | source
"""


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(*, shell: str) -> int:
    """Print a shell's completion script."""
    from click.shell_completion import get_completion_class

    from evalc.cli import COMPLETION_VARIABLE, PROGRAM, root

    completion = get_completion_class(shell)
    assert completion is not None
    say(completion(root, {}, PROGRAM, COMPLETION_VARIABLE).source().rstrip("\n"))
    return 0
