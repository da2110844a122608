"""Plugins that break the contract, each in one way; made by completing a sound one."""

METHOD = '''
"""A method of the tests. Source: defined here."""
import random
import time
from dataclasses import dataclass

from lampbench.plugin import *

@dataclass(frozen=True)
class Mine(Prompting):
    """Quote the first records."""
    count: int = hyper("records quoted", default=2, low=1)
    {fields}
    def render(self, context, user, item):
        {render}
        quoted = [Piece(context.quote(record), 3) for record in before(user, item)[: self.count]]
        return context.task.prompt(item.fields).before(*quoted)

@register_method("mine")
class MineMethod(Method):
    """A method for the tests of the contract. Source: defined here."""
    title = "Mine"
    prompting = Mine()
    {body}
'''


def method(fields: str = "", render: str = "pass", body: str = "") -> str:
    """The sound method, completed."""
    return METHOD.format(
        fields=fields,
        render=render.replace("\n", "\n        "),
        body=body.replace("\n", "\n    "),
    )


SOUND = method()

SAMPLES_ITSELF = method(
    body="""
decoding = Sampled()
answers_per_query = 3
def predict(self, context, users):
    from dataclasses import replace
    work = [(u, [replace(r, samples=3) for r in self.requests(context, u)]) for u in users]
    for user, found in context.answer(work):
        for query, three in zip(user.queries, found, strict=True):
            yield Prediction.of(user, query, min(three, key=lambda one: one.text))
"""
)

PEEKS = method(
    render='seen = getattr(item, "reference", None)\n'
    'return context.task.prompt(item.fields).before(Piece(seen or ""))'
)
PEEKS_BEHIND_A_LIBRARY = method(
    render="import dataclasses\n"
    "known = dataclasses.asdict(item).get('reference')\n"
    "return context.task.prompt(item.fields).before(Piece(known or ''))"
)
KEEPS_STATE = method(
    body="""
seen = []
def predict(self, context, users):
    for user in users:
        for query in user.queries:
            self.seen.append(query.fields["text"])
            yield Prediction(user.id, query.id, self.seen[0])
"""
)
REMEMBERS_BETWEEN_RUNS = method(
    body="""
known = {}
def predict(self, context, users):
    for user in users:
        for query in user.queries:
            self.known.setdefault(query.id, user.history[0].target)
            yield Prediction(user.id, query.id, self.known[query.id])
"""
)
IGNORES_A_HYPERPARAMETER = method(fields='unused: float = hyper("not read", default=0.5, low=0.0)')
DEPENDS_ON_THE_ORDER = method(
    body="""
def predict(self, context, users):
    first = users[0]
    for user in users:
        for query in user.queries:
            yield Prediction(user.id, query.id, first.history[0].target)
"""
)
DEPENDS_ON_THE_PLACE = method(
    body="""
def predict(self, context, users):
    first = context.dataset.test_users[0]
    for user in users:
        for query in user.queries:
            yield Prediction(user.id, query.id, first.history[0].target)
"""
)
NUMBERS_THE_USERS = method(
    body="""
def predict(self, context, users):
    number = {user.id: i for i, user in enumerate(context.dataset.test_users)}
    for user in users:
        for query in user.queries:
            yield Prediction(user.id, query.id, str(number[user.id]))
"""
)
COMPUTES_FROM_THE_BATCH = method(
    body="""
def predict(self, context, users):
    usual = max(len(r.target) for user in users for r in user.history)
    for user in users:
        for query in user.queries:
            yield Prediction(user.id, query.id, str(usual))
"""
)
ASKS_ONE_BY_ONE = method(
    body="""
def predict(self, context, users):
    for user in users:
        for query, request in zip(user.queries, self.requests(context, user), strict=True):
            for _, ((answer,),) in context.answer([(user, [request])]):
                yield Prediction.of(user, query, answer)
"""
)
FORGETS_A_QUERY = method(
    body="""
def predict(self, context, users):
    for user in users:
        for query in user.queries[1:]:
            yield Prediction(user.id, query.id, "a")
"""
)
RANDOM = method(
    render="return context.task.prompt(item.fields).before(Piece(str(random.random())))"
)
HASHES = method(
    render="words = set(item.fields['text'].split()) | {'a', 'b', 'c', 'd', 'e', 'f'}\n"
    "return context.task.prompt(item.fields).before(Piece(' '.join(words)))"
)
RETURNS_TEXT = method(render="return 'a text'")
RETURNS_NOTHING = method(body="def predict(self, context, users):\n    return None")
RAISES = method(render="return user.nothing")
FORGETS_ON_RESUME = '''
"""A method of the tests. Source: defined here."""
from dataclasses import dataclass, field

from lampbench.plugin import *

notes = {}

@dataclass(frozen=True)
class Notes(UserRecipe):
    """Notes on a user, half of them in memory only."""
    section = "notes"
    uses_prompting = False
    def build(self, context, users):
        for user in users:
            notes[user.id] = user.history[0].target
            context.put(self, user, {})
            yield user

@dataclass(frozen=True)
class Shows(Prompting):
    """Show the notes."""
    notes: Notes = field(default_factory=Notes)
    def render(self, context, user, item):
        return context.task.prompt(item.fields).before(Piece(notes[user.id]))

@register_method("mine")
class MineMethod(Method):
    """A method for the tests of the contract. Source: defined here."""
    title = "Mine"
    prompting = Shows()
'''
FORGETS_WITHOUT_ASKING = (
    FORGETS_ON_RESUME
    + """
    def predict(self, context, users):
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, notes[user.id])
"""
)
NO_CARD = SOUND.replace(
    '    """A method for the tests of the contract. Source: defined here."""\n    title = "Mine"\n',
    "",
)
NO_SOURCE = SOUND.replace(" Source: defined here.", "")
UNEXPLAINED = SOUND.replace('hyper("records quoted"', 'hyper(""')
NO_DEFAULT = SOUND.replace("default=2, ", "")
HAS_A_CONSTANT = method(render="user.history[: 3]\n"
                        "return context.task.prompt(item.fields).before("
                        "*[Piece(r.target) for r in user.history[: 2]])")  # fmt: skip
HIDES_A_PART = method(
    fields="parts: tuple = ()", body="prompting = Mine(parts=(Hidden(size=2),))"
).replace(
    "@register_method",
    "@dataclass(frozen=True)\nclass Hidden(Part):\n"
    '    """Hidden."""\n    section = "hidden"\n'
    '    size: int = hyper("how much", default=2)\n\n@register_method',
)
YIELDS_TOO_EARLY = FORGETS_ON_RESUME.replace("            context.put(self, user, {})\n", "")
TRAINS_ON_ANSWERS = SOUND.replace("before(user, item)", "user.history").replace(
    "prompting = Mine()", "prompting = Mine()\n    adaptation = UserSFT()"
)
QUOTES_LATER_RECORDS = TRAINS_ON_ANSWERS.replace(
    "user.history[", "[r for r in user.history if r.id != item.id]["
)
