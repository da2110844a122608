"""`lampbench data`: what a dataset holds, what leaks in it, and a copy in lampbench's layout."""

import click

from lampbench.cli.command import Group
from lampbench.cli.data_audit import audit
from lampbench.cli.data_import import import_
from lampbench.cli.data_stats import stats


@click.group(cls=Group)
def data() -> None:
    """Describe, audit or import a dataset."""


data.add_command(stats)
data.add_command(audit)
data.add_command(import_)
