"""One answered query as a screen of a terminal."""

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from lampbench.report.example_answers import AnsweredQuery, ShownAnswer
from lampbench.util.terminal import visible

SHARED = "bold green"
"""The style of words that the user's own text has too."""


def example_screen(shown: AnsweredQuery, place: str, keys: str) -> RenderableType:
    """The query, the user's own text and every answer, under `place` and above `keys`.

    Texts of others are shown and not obeyed: control characters are escaped.
    """
    fields = shown.fields or [("query", "not recorded")]
    asked = Text("\n").join(
        Text.assemble((f"{visible(name)}: ", "dim"), visible(text)) for name, text in fields
    )
    own = "withheld" if shown.reference is None else visible(shown.reference)
    history = f"{len(shown.history)} past texts"
    return Group(
        Text(visible(place), style="bold"),
        Text(visible(f"user {shown.user}, query {shown.query}, {history}"), style="dim"),
        Panel(asked, title="query", title_align="left", border_style="dim"),
        Panel(Text(own), title="the user's own", title_align="left", border_style="cyan"),
        *(_answer(answer) for answer in shown.answers),
        Text(keys, style="dim"),
    )


def _answer(answer: ShownAnswer) -> Panel:
    score = "" if answer.score is None else f"  ROUGE-L {answer.score:.3f}"
    text = Text()
    for number, piece in enumerate(answer.pieces):  # every second piece is a shared word
        text.append(visible(piece), style=SHARED if number % 2 else None)
    title = Text(f"{visible(answer.title)}{score}")
    return Panel(text, title=title, title_align="left", border_style="dim")


def print_screen(console: Console, screen: RenderableType) -> None:
    """Show one screen in place of the one before."""
    console.clear()
    console.print(screen)
