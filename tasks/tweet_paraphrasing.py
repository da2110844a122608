"""LaMP-7: personalized tweet paraphrasing (Salemi et al., 2024)."""

from lampbench.plugin import FileFormat, Task, register_task


@register_task("tweet_paraphrasing")
class TweetParaphrasing(Task):
    """A tweet in the words of its author, from a paraphrase of it.

    Past records are tweets alone. As in OPPU's released code, users' adapters train on the prompt
    "tweet:".
    """

    title = "Tweet Paraphrasing"
    family = "lamp"
    fields = ("text",)
    target_name = "tweet"
    shorten = "text"
    system = ""
    template = "Paraphrase the following tweet without any explanation before or after it: {text}"
    record_fields = ()
    record_template = "tweet:"
    example = '"{target}" '
    between_examples = ", and "
    after_examples = " are written by a person. Following the given patterns "
    profile_request = (
        "Given this person's previous tweets, try to describe a template for their tweets. I want "
        "to take a generic sentence and rephrase it to sound like one of their tweets, with the "
        "same style/punctuation/capitalization/wording/tone/etc. as them. Only give me the "
        "template description, nothing else. User History: "
    )
    max_new_tokens = 100
    files = FileFormat(
        task_id="LaMP_7",
        input=r"Paraphrase the following tweet without any explanation before or after it:\s*"
        r"(?P<text>.*)",
        record={},
        target="text",
    )
