"""LaMP-1: personalized citation identification (Salemi et al., 2024)."""

from collections.abc import Sequence

from lampbench.plugin import FileFormat, Piece, Prompt, Task, register_task


@register_task("citation_identification")
class CitationIdentification(Task):
    """Which of two papers an author cites in a paper of theirs, given its title.

    Past records are the author's papers, without their references: they can be quoted, but they
    are no examples of the task.
    """

    title = "Citation Identification"
    family = "lamp"
    fields = ("title", "reference_1", "reference_2")
    target_name = "reference"
    shorten = "title"
    system = ""
    template = (
        'For an author who has written the paper with the title "{title}", which reference is '
        'related? Just answer with [1] or [2] without explanation. [1]: "{reference_1}" '
        '[2]: "{reference_2}"'
    )
    record_fields = ("title",)
    example = '"{title}"'
    compared = ("reference_1", "reference_2")
    profile_request = (
        "Write a summary, in English, of the research interests and topics of a researcher who "
        "has published the following papers. Only generate the summary, no other text. User "
        "History: "
    )
    max_new_tokens = 10
    choices = ("[1]", "[2]")
    metrics = ("accuracy", "macro_f1", "unparsed")
    files = FileFormat(
        task_id="LaMP_1",
        input=r'For an author who has written the paper with the title "(?P<title>.*?)",?\s*which '
        r"reference is related\?\s*Just answer with \[1\] or \[2\] without explanation\.\s*"
        r'\[1\]:\s*"(?P<reference_1>.*?)"\s*\[2\]:\s*"(?P<reference_2>.*)"',
        record={"title": "title"},
        target="abstract",
    )

    def with_examples(self, prompt: Prompt, examples: Sequence[Piece]) -> Prompt:
        """Past titles stand behind the word "title", as in LaMP's `add_string_after_title`."""
        first, *others = prompt.pieces
        start, title, rest = first.text.partition("title")
        quoted = [piece for example in examples for piece in (Piece(", and "), example)]
        return Prompt(prompt.system, (Piece(start + title), *quoted, Piece(rest), *others))
