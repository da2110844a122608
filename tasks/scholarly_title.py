"""LaMP-5: personalized scholarly title generation (Salemi et al., 2024)."""

from lampbench.plugin import FileFormat, Task, register_task


@register_task("scholarly_title")
class ScholarlyTitle(Task):
    """Title for a paper's abstract, in the voice of an author with past papers."""

    title = "Scholarly Title"
    family = "lamp"
    fields = ("abstract",)
    target_name = "title"
    shorten = "abstract"
    system = "You are a scholarly title generator."
    template = (
        "Generate a title for the following abstract of a paper.\nabstract: {abstract}\ntitle:"
    )
    example = "abstract: {abstract}\ntitle: {target}"
    max_new_tokens = 100
    files = FileFormat(
        task_id="LaMP_5",
        input=r"Generate a title for the following abstract of a paper:\s*(?P<abstract>.*)",
        record={"abstract": "abstract"},
        target="title",
    )
