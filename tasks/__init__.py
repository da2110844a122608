"""The built-in tasks, one file each; imported as `lampbench.tasks`."""

if __name__ == "tasks":
    raise ImportError("import lampbench.tasks, not tasks: two names would make two of each class")

VERSIONS = {
    "abstract_generation": 1,
    "citation_identification": 1,
    "email_generation": 1,
    "movie_tagging": 1,
    "news_headline": 1,
    "product_rating": 1,
    "review_writing": 1,
    "scholarly_title": 1,
    "topic_writing": 1,
    "tweet_paraphrasing": 1,
}
"""The built-in tasks, as in `lampbench.methods`."""
