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
    example = "abstract: {abstract} title: {target}\n"
    profile_request = (
        "Given this author's previous publications, try to describe a template for their titles. "
        "I want to be able to accurately predict the title of one of the papers from the "
        "abstract. Only generate the template description, nothing else. User History: "
    )
    max_new_tokens = 100
    raw_input = "Generate a title for the following abstract of a paper: {abstract}"
    reference_template = (
        "Generate a title for the following abstract of a paper.\n abstract: {abstract} title:"
    )
    reference_search = "Generate a title for the following abstract of a paper: {abstract}"
    reference_parsing = "numbered line"
    files = FileFormat(
        task_id="LaMP_5",
        input=r"Generate a title for the following abstract of a paper:\s*(?P<abstract>.*)",
        record={"abstract": "abstract"},
        target="title",
    )
