"""LaMP-4: personalized news headline generation (Salemi et al., 2024)."""

from lampbench.plugin import FileFormat, Task, register_task


@register_task("news_headline")
class NewsHeadline(Task):
    """Headline for a news article, in the voice of a journalist with past headlines."""

    title = "News Headline"
    family = "lamp"
    fields = ("text",)
    target_name = "title"
    shorten = "text"
    system = "You are a news headline generator."
    template = "Generate a headline for the following article.\narticle: {text}\nheadline:"
    example = "article: {text} headline: {target}\n"
    profile_request = (
        "Given this author's previous articles, try to describe a template for their headlines. "
        "I want to be able to accurately predict the headline gives one of their articles. Be "
        "specific about their style and wording, don't tell me anything generic. User History: "
    )
    max_new_tokens = 100
    raw_input = "Generate a headline for the following article: {text}"
    reference_search = "Generate a headline for the following article: {text}"
    files = FileFormat(
        task_id="LaMP_4",
        input=r"Generate a headline for the following article:\s*(?P<text>.*)",
        record={"text": "text"},
        target="title",
    )
