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
    example = (
        "description: {description} overall rating: {rating} summary: {summary} review: {target}\n"
    )
    reference_example = "description: {description} overall rating: {rating} summary: {summary}\n"
    max_new_tokens = 600
    raw_input = (
        "Generate the review text written by a reviewer who has a given an overall rating of "
        '"{rating}" for a product with description "{description}". '
        'The summary of the review text is "{summary}".'
    )
    reference_search = raw_input.removesuffix(".")
    reference_train_template = (
        "Generate a detailed review for a product with the following description: "
        "'{description}'. The review has an overall rating of '{rating}'. "
        "The review summary is: '{summary}'.\nReview:"
    )
    files = FileFormat(
        task_id="LongLaMP_3",
        input=r"Generate the review text written by a reviewer who has (?:a )?given an overall "
        r'rating of "(?P<rating>[^"]*)" for a product with description "(?P<description>.*)"\.\s*'
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
