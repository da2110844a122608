"""The contract of methods, and of parts inside a method: one function per check."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from lampbench.contract.card import check_card
from lampbench.contract.echo_engine import EchoPool, Killed, KillSwitch
from lampbench.contract.method_trials import MethodTrials, difference_between
from lampbench.contract.pointers import chance_lines, group_lines, memory_lines, place_lines
from lampbench.contract.trial import Conditions, training_prompts, trial_folder, trial_plan
from lampbench.contract.trial_data import SENTINEL, trial_dataset, watched, with_references
from lampbench.contract.undeclared_constants import check_constants
from lampbench.contract.vary_hyperparameters import check_hyperparameters
from lampbench.contract.verdict import CheckResult, failed, note, passed, skipped
from lampbench.plugin.fault import told_as_the_plugins
from lampbench.util.errors import LampbenchError

_MOMENTS = 5
"""Kills per check, spread over the run."""


def card(trials: MethodTrials) -> CheckResult:
    """Title, description, source, and the meaning of each hyper-parameter."""
    return check_card(trials.subject)


def runs(trials: MethodTrials) -> CheckResult:
    """It answers every query once, on two engines."""
    if trials.fault:
        hint = ""
        if "has no value" in trials.fault:
            hint = '; in the plugin, give it one: hyper("...", default=...)'
        return failed("runs", f"{trials.fault}{hint}")
    return passed("runs", f"answers {len(trials.echoed.answers)} queries of 3 users")


def determinism(trials: MethodTrials) -> CheckResult:
    """Equal runs give equal answers, also in another process."""
    if trials.unsteady:
        lines = chance_lines(trials.file)
        return failed(
            "determinism",
            f"two equal runs differ: {trials.unsteady}. Draw random numbers from "
            "random.Random(seed_from(context.seed, user.id, ...)), sort sets before use, and read "
            f"no clock{f'; look at {lines}' if lines else ''}",
        )
    where = " and in another process" if trials.subject.by_name else ""
    return passed("determinism", f"equal answers in two runs{where}")


def batch(trials: MethodTrials) -> CheckResult:
    """Users alone have the answers that they have together."""
    alone = [Conditions(only=user.id, batch_size=1) for user in trials.data.test_users]
    for conditions in (Conditions(one_by_one=True), *alone):
        if found := trials.difference(conditions):
            return failed(
                "batch",
                f"where users are asked for one at a time, {found}. An answer may depend on its "
                f"own user and on context.dataset, never on who else is in `users`"
                f"{_lines(memory_lines(trials.file) or group_lines(trials.file))}",
            )
    alike = "equal answers for users alone and together"
    single = trials.echoed.single_asks
    if len(single) >= len(trials.data.test_users):
        return note(
            "batch",
            f"{alike}; context.answer() was called {len(single)} times with one user each: give "
            "all users at once so that they share batches; look at "
            f"{', '.join(sorted(set(single)))}",
        )
    return passed("batch", alike)


def order(trials: MethodTrials) -> CheckResult:
    """The order of users changes no answer."""
    check = "order of users"
    if found := trials.difference(Conditions(reversed_users=True)):
        return failed(
            check,
            f"where the users come in the opposite order, {found}. An answer must not depend on "
            "the users before it"
            f"{_lines(memory_lines(trials.file) or group_lines(trials.file))}",
        )
    turned = replace(trials.data, test_users=trials.data.test_users[::-1])
    if found := difference_between(trials.echoed, trials.echo(data=turned)):
        return failed(
            check,
            f"where context.dataset has its users in the opposite order, {found}. Choose other "
            f"users by their ids, not by their place{_lines(place_lines(trials.file))}",
        )
    return passed(check, "equal answers in the opposite order")


def resume(trials: MethodTrials) -> CheckResult:
    """A killed run that is resumed, in a process that remembers nothing, ends as one in one go."""
    if not trials.echoed.moments:
        return skipped("resume", "the run stores nothing before its end, so none can be resumed")
    for moment in _moments(trials.echoed.moments):
        with trial_folder() as cache:
            with suppress(Killed):
                trials.echo(cache=cache, switch=KillSwitch(moment))
            found = trials.change(cache=cache)
        if found:
            return failed(
                "resume",
                f"resumed after a kill (after result {moment}), {found}. Keep what later stages "
                f"need with context.put, nowhere else{_memory(trials)}",
            )
    count = len(_moments(trials.echoed.moments))
    return passed("resume", f"equal answers after kills at {count} moments")


def _moments(count: int) -> list[int]:
    if count <= _MOMENTS:
        return list(range(count))
    return sorted({round(i * (count - 1) / (_MOMENTS - 1)) for i in range(_MOMENTS)})


def references(trials: MethodTrials) -> CheckResult:
    """What the answers are scored against is out of reach."""
    check = "references"
    seen: set[str] = set()
    trials.echo(data=watched(trials.data, seen))
    if seen:
        return failed(
            check,
            f"{', '.join(sorted(seen))}: reads the reference of a test user's query, which the "
            "answers are scored against; remove it (only a TaskRecipe may read references: those "
            "of context.dataset.train_users)",
        )
    for reference, when in ((SENTINEL, "replaced"), (None, "withheld")):
        if found := trials.change(data=with_references(trials.data, reference)):
            return failed(
                check,
                f"where the references of the test users are {when}, {found}. Answers must not "
                "depend on query.reference, by whatever way it is read",
            )
    return passed(check, "equal answers where references are replaced or withheld")


def training(trials: MethodTrials) -> CheckResult:
    """The prompt of a past record, on which weights train, shows neither its target nor later ones.

    A LoRA that is trained on prompts with the answer in them learns to copy.
    """
    check, method = "training prompts", trials.subject.fresh()
    with trial_folder() as cache:
        model = str(trials.workshop.model)
        trials.echo(method, cache=cache)
        plan = trial_plan(
            method, trials.task, trials.data, model, EchoPool(model), cache, Conditions()
        )
        with told_as_the_plugins("a prompt for training"):
            prompts = training_prompts(plan)
    for user in trials.data.test_users:
        for place, record in enumerate(user.history):
            text = prompts[user.id, record.id]
            shown = [later.id for later in user.history[place:] if later.target in text]
            if shown:
                what = "itself" if shown[0] == record.id else f"the later record {shown[0]!r}"
                told = (
                    f"the prompt of the past record {record.id!r} quotes {what}. Weights train on "
                    "these prompts: in render(), quote from before(user, item), not user.history"
                )
                trains = method.adaptation is not None or trials.subject.kind != "method"
                return (failed if trains else note)(check, told)
    return passed(check, "no prompt of a past record shows its target or a later record")


def state(trials: MethodTrials) -> CheckResult:
    """One run leaves nothing behind for the next one in the same process."""
    method = trials.subject.fresh()
    other = trial_dataset(trials.task, "another edition", method.min_history)
    try:
        trials.echo(method, other)
        found = trials.change(method)
    except LampbenchError as error:
        found = f"it failed: {error}"
    if found:
        return failed(
            "state",
            f"after a run on other texts of the same users, {found}. Keep nothing on the plugin "
            f"between calls{_memory(trials)}",
        )
    return passed("state", "equal answers after a run on other data in the same process")


def hyperparameters(trials: MethodTrials) -> CheckResult:
    """Each declared hyper-parameter changes the key, and each of the plugin's own the run."""
    return check_hyperparameters(trials)


def constants(trials: MethodTrials) -> CheckResult:
    """Numbers in the file that change answers and are no hyper-parameters."""
    return check_constants(trials.subject, trials.echoed, trials.echo)


def _memory(trials: MethodTrials) -> str:
    return _lines(memory_lines(trials.file))


def _lines(lines: str) -> str:
    return f"; look at {lines}" if lines else ""


METHOD_CHECKS: Mapping[str, Callable[[MethodTrials], CheckResult]] = {
    "card": card,
    "runs": runs,
    "determinism": determinism,
    "batch": batch,
    "order of users": order,
    "resume": resume,
    "references": references,
    "training prompts": training,
    "state": state,
    "hyper-parameters": hyperparameters,
    "constants": constants,
}
"""By name, in the order in which they are made."""


def check_method(trials: MethodTrials, check: str) -> CheckResult:
    """The verdict of one check; where an earlier one makes it meaningless, it is skipped."""
    if check not in ("card", "runs"):
        if trials.fault:
            return skipped(check, "the plugin does not run")
        if check != "determinism" and trials.unsteady:
            return skipped(check, "equal runs differ, so that nothing can be compared")
    try:
        return METHOD_CHECKS[check](trials)
    except LampbenchError as error:
        return failed(check, str(error))
