"""LongLaMP-3: personalized review writing (Kumar et al., 2024)."""

from lampbench.plugin import FileFormat, HubSource, Task, register_task


@register_task("review_writing")
class ReviewWriting(Task):
    """Review text for a product, rating and summary, in the voice of a reviewer."""

    title = "Review Writing"
    family = "longlamp"
    fields = ("rating", "description", "summary")
    target_name = "review"
    shorten = "description"
    system = "You are a review writer."
    template = (
        "Generate the review text written by a reviewer who has a given an overall rating of "
        '"{rating}" for a product with description "{description}". '
        'The summary of the review text is "{summary}".\nReview:'
    )
    example = "rating: {rating}\nproduct: {description}\nsummary: {summary}\nreview: {target}"
    max_new_tokens = 600
    files = FileFormat(
        task_id="LongLaMP_3",
        input=r"Generate the review text written by a reviewer who has a given an overall rating "
        r'of "(?P<rating>.*?)" for a product with description "(?P<description>.*)"\. '
        r'The summary of the review text is "(?P<summary>.*)"\.?',
        record={"rating": "overall", "description": "description", "summary": "summary"},
        target="reviewText",
    )
    hub = HubSource(
        "product_review",
        "reviewerId",
        {"rating": "overall", "description": "description", "summary": "summary"},
        "reviewText",
    )
