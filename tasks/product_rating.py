"""LaMP-3: personalized product rating (Salemi et al., 2024)."""

from lampbench.plugin import FileFormat, Task, register_task


@register_task("product_rating")
class ProductRating(Task):
    """The score from 1 to 5 that a user gave with a review."""

    title = "Product Rating"
    family = "lamp"
    fields = ("review",)
    target_name = "score"
    shorten = "review"
    system = ""
    template = (
        "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, "
        "4, or 5 without further explanation. review: {review}"
    )
    example = '{target} is the score for "{review}" '
    between_examples = ", and "
    after_examples = ". "
    indexed = ("review",)
    profile_request = (
        "Based on this user's past reviews, what are the most common scores they give for positive "
        "and negative reviews? Answer in the following form: most common positive score: <most "
        "common positive score>, most common negative score: <most common negative score>. User "
        "History: "
    )
    max_new_tokens = 10
    choices = ("1", "2", "3", "4", "5")
    metrics = ("mae", "rmse", "unparsed")
    files = FileFormat(
        task_id="LaMP_3",
        input=r"What is the score of the following review on a scale of 1 to 5\?\s*"
        r"just answer with 1, 2, 3, 4, or 5 without further explanation\.\s*"
        r"review:\s*(?P<review>.*)",
        record={"review": "text"},
        target="score",
    )
