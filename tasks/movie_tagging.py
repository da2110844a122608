"""LaMP-2: personalized movie tagging (Salemi et al., 2024)."""

from lampbench.plugin import FileFormat, Task, register_task

TAGS = (
    "sci-fi", "based on a book", "comedy", "action", "twist ending", "dystopia", "dark comedy",
    "classic", "psychology", "fantasy", "romance", "thought-provoking", "social commentary",
    "violence", "true story",
)  # fmt: skip


@register_task("movie_tagging")
class MovieTagging(Task):
    """The one of 15 tags that a user gives to a movie, from its description."""

    title = "Movie Tagging"
    family = "lamp"
    fields = ("description",)
    target_name = "tag"
    shorten = "description"
    system = ""
    template = (
        "Which tag does this movie relate to among the following tags? Just answer with the tag "
        f"name without further explanation. tags: [{', '.join(TAGS)}] description: {{description}}"
    )
    example = 'the tag for the movie: "{description}" is "{target}" '
    between_examples = ", and "
    after_examples = ". "
    indexed = ("description",)
    profile_request = (
        "Look at the following past movies this user has watched and determine the most popular "
        "tag they labeled. Answer in the following form: most popular tag: <tag>. User History: "
    )
    max_new_tokens = 16
    choices = TAGS
    metrics = ("accuracy", "macro_f1", "unparsed")
    files = FileFormat(
        task_id="LaMP_2",
        input=r"Which tag does this movie relate to among the following tags\?.*?"
        r"tags:\s*\[[^\]]*\]\s*description:\s*(?P<description>.*)",
        record={"description": "description"},
        target="tag",
    )
