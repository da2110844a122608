"""Shorter histories: the most recent records of every test user."""

from dataclasses import replace

from lampbench.core.dataset import Dataset, User
from lampbench.data.time_order import oldest_first
from lampbench.data.users_on_disk import held


def cut_histories(dataset: Dataset, most: int) -> Dataset:
    """The dataset with the `most` most recent records of each test user; notes say of how many.

    Most recent is by date where every record of a user has one, and last in the source's order
    where not. The records that stay keep the source's order. A profile that came with a user who
    loses records is left out: it describes the whole history. Training users and queries stay as
    they are. Where nobody has more than `most` records, it is the dataset itself.
    """
    longer = undated = profiles = 0
    for user in dataset.test_users:
        if len(user.history) > most:
            longer += 1
            undated += not oldest_first(user.history)[1]
            profiles += user.profile is not None
    if not longer:
        return dataset
    notes = [
        f"test users whose history is cut to the {_records(most)} (--max-history): "
        f"{longer} of {len(dataset.test_users)}"
    ]
    if undated:
        notes.append(
            "test users without a date on every record, cut by the source's order of records: "
            f"{undated}"
        )
    if profiles:
        notes.append(
            f"profiles of the source that describe records which are cut, left out: {profiles}"
        )
    return replace(
        dataset,
        test_users=held(_cut(user, most) for user in dataset.test_users),
        notes=(*dataset.notes, *notes),
        cut_from=dataset.fingerprint,
    )


def _cut(user: User, most: int) -> User:
    if len(user.history) <= most:
        return user
    ordered, _ = oldest_first(user.history)
    kept = {record.id for record in ordered[-most:]}
    history = tuple(record for record in user.history if record.id in kept)
    return replace(user, history=history, profile=None)


def _records(most: int) -> str:
    return "most recent record" if most == 1 else f"{most} most recent records"
