"""LongLaMP-4: personalized topic writing (Kumar et al., 2024)."""

from lampbench.plugin import FileFormat, HubSource, Task, register_task


@register_task("topic_writing")
class TopicWriting(Task):
    """Content of a post for its summary, in the voice of its author."""

    title = "Topic Writing"
    family = "longlamp"
    fields = ("summary",)
    target_name = "content"
    shorten = "summary"
    system = "You are a creative content generator for Reddit posts."
    template = "Generate the content for a reddit post.\npost: {summary}\ncontent:"
    example = "post: {summary} content: {target}\n"
    max_new_tokens = 600
    raw_input = "Generate the content for a reddit post {summary}"
    reference_template = "Generate the content for a reddit post \npost: {summary}\ncontent:"
    reference_quotation = "post:{summary} content: {target}\n"
    reference_search = "Generate the content for a reddit post {summary}"
    reference_train_template = "Generate the content for a reddit post {summary}.\ncontent: "
    files = FileFormat(
        task_id="LongLaMP_4",
        input=r"Generate the content for a reddit post:?\s*(?P<summary>.*?)",
        record={"summary": "summary"},
        target="content",
    )
    hub = HubSource("topic_writing", "author", {"summary": "summary"}, "content")
