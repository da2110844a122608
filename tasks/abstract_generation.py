"""LongLaMP-2: personalized abstract generation (Kumar et al., 2024)."""

from collections.abc import Mapping

from lampbench.plugin import FileFormat, HubSource, Prompt, Task, register_task

_ASKED = '"{title}" using the following items: {items}'


@register_task("abstract_generation")
class AbstractGeneration(Task):
    """Abstract for a paper's title (and items, where given), in the voice of its author."""

    title = "Abstract Generation"
    family = "longlamp"
    fields = ("title",)
    optional = ("items",)
    target_name = "abstract"
    shorten = "items"
    system = "You are an abstract writer."
    template = 'Generate an abstract for the title "{title}".\nAbstract:'
    example = "title: {title}.\nabstract: {target}\n"
    max_new_tokens = 600
    raw_input = 'Generate an abstract for the title "{title}"'
    reference_template = "Generate an abstract for the title '{title}'.\nAbstract:"
    reference_search = "Generate an abstract for the title '{title}'."
    reference_parsing = "after marker"
    files = FileFormat(
        task_id="LongLaMP_2",
        input=r'Generate an abstract for the title "(?P<title>.*?)"'
        r"(?:\s*using the following items:\s*(?P<items>.*?))?\.?",
        record={"title": "title"},
        target="abstract",
    )
    hub = HubSource("abstract_generation", "name", {"title": "title"}, "abstract")

    def prompt(self, fields: Mapping[str, str], *, template: str | None = None) -> Prompt:
        """The title alone, or with the items of LongLaMP's queries (paper, Figure 6).

        The reference code takes both, quotation marks included, for the title of such a query
        (utils.py:105-115).
        """
        words = template or self.template
        if fields.get("items"):
            words = words.replace('"{title}"', _ASKED).replace("'{title}'", f"'{_ASKED}'")
        return super().prompt(fields, template=words)
