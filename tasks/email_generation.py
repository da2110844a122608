"""LongLaMP-1: personalized e-mail generation (Kumar et al., 2024)."""

from lampbench.plugin import FileFormat, Task, register_task


@register_task("email_generation")
class EmailGeneration(Task):
    """Text of an e-mail for its subject, in the voice of its sender.

    The e-mails are those of the Avocado Research Email Collection (LDC2015T03). Its licence lets
    nobody pass them on: each user gets them from the Linguistic Data Consortium and makes the
    files with the benchmark's script. The prompt's words are ours, because the input sentence is
    published in these files alone; what follows its colon is read as the subject.
    """

    title = "E-mail Generation"
    family = "longlamp"
    fields = ("subject",)
    target_name = "email"
    shorten = "subject"
    system = ""
    template = "Generate an email for the following subject: {subject}"
    example = '"{subject}" is the title for "{target}" '
    between_examples = ", and "
    after_examples = ". "
    indexed = ("target",)
    max_new_tokens = 600
    files = FileFormat(
        task_id="LongLaMP_1",
        input=r"[^:]*\be-?mail\b[^:]*:\s*(?P<subject>.*)",
        record={"subject": "title"},
        target="text",
    )
