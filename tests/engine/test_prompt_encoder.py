"""From prompts to token ids: one BOS, one end of turn, only the right pieces shortened."""

from dataclasses import replace
from typing import Any

import pytest

from lampbench.core.fidelity import PAPER, REFERENCE
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.prompt_encoder import PromptEncoder
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import prompt
from tests.engine.tiny_models import CONTEXT, FAMILIES, tokenizer

NAMES = sorted(FAMILIES)
EACH = [(name, template) for name in NAMES for template in (None, name)]
LONG = "storm " * 400


@pytest.fixture(scope="session")
def tokens():
    made: dict[str, Any] = {}
    return lambda name: made.setdefault(name, tokenizer(FAMILIES[name]))


@pytest.fixture
def encoder(tokens):
    def get(name, chat_template=None, context=CONTEXT, fidelity=PAPER, **options):
        return PromptEncoder(tokens(name), chat_template, context, fidelity, **options)

    return get


def text_of(encoder, ids):
    return encoder.tokenizer.decode(list(ids), skip_special_tokens=False)


@pytest.mark.parametrize(("name", "template"), EACH)
def test_a_prompt_has_one_bos_and_all_its_words(encoder, name, template):
    made = encoder(name, template)
    encoded = made.encode_prompt("q", prompt(), CONTEXT)
    bos = made.tokenizer.bos_token_id
    if name == "qwen":
        assert bos is None
    else:
        assert encoded.ids[0] == bos
        assert encoded.ids.count(bos) == 1
    text = text_of(made, encoded.ids)
    assert text.index("You are a news headline generator.") < text.index("Generate a headline.")
    assert text.count("Generate a headline.\narticle: The storm") == 1
    assert encoded.dropped == 0


@pytest.mark.parametrize(("name", "template"), EACH)
def test_a_response_ends_with_one_end_of_turn(encoder, name, template):
    made = encoder(name, template)
    (ids,) = made.encode_responses("q", prompt(), ["Storm closes harbour"]).responses
    end = {"gemma": "<eos>"}.get(template, FAMILIES[name].end_of_turn)
    assert ids[-1] == made.tokenizer.convert_tokens_to_ids(end)
    assert not set(ids[:-1]) & set(made.tokenizer.all_special_ids)
    assert made.decode(ids) == "Storm closes harbour"


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_is_what_the_template_renders(encoder, tokens, name):
    """Token for token, where the template does all that is asked of it."""
    made = encoder(name)
    if name in ("llama", "qwen"):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    else:
        messages = [{"role": "user", "content": "Be brief.\n\nHi"}]
    expected = tokens(name).apply_chat_template(
        messages, add_generation_prompt=True, date_string="26 Jul 2024", return_dict=False
    )
    found = made.encode_prompt("q", Prompt("Be brief.", (Piece("Hi"),)), CONTEXT)
    assert list(found.ids) == expected


def test_the_date_in_a_prompt_is_fixed(encoder):
    made = encoder("llama")
    assert "26 Jul 2024" in text_of(made, made.encode_prompt("q", prompt(), CONTEXT).ids)


def test_a_missing_template_is_an_error(encoder):
    with pytest.raises(LampbenchError, match=r"no chat template is called 'gpt'.*mistral"):
        encoder("llama", "gpt")
    bare = tokenizer(FAMILIES["llama"])
    bare.chat_template = None
    with pytest.raises(
        LampbenchError, match="has no chat template; choose one with --chat-template"
    ):
        PromptEncoder(bare, None, CONTEXT, PAPER)


def test_appendix_d_as_printed(encoder):
    """What the paper's templates render, by hand from their text."""
    said = Prompt("Be brief.", (Piece("Hi"),))
    rendered = {}
    for name in NAMES:
        made = encoder(name, name)
        rendered[name] = text_of(made, made.encode_prompt("q", said, 99).ids)
    assert rendered["mistral"] == "<s>[INST] Be brief.\nHi [/INST]\n"
    assert rendered["llama"] == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert rendered["qwen"] == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert "".join(rendered["gemma"].split()) == "<bos>System:Bebrief.User:HiAssistant:"


def test_vicuna_turns(encoder):
    made = encoder("mistral", "vicuna")
    ids = made.encode_prompt("q", Prompt("Describe.", (Piece("Hi"),)), 99).ids
    assert text_of(made, ids) == "<s>Describe. USER: Hi ASSISTANT:"


@pytest.mark.parametrize("name", NAMES)
def test_special_tokens_in_the_data_are_text(encoder, name):
    """A review that contains <s> or </s> neither begins nor ends anything."""
    made = encoder(name)
    evil = "".join(made.tokenizer.all_special_tokens)
    plain = made.encode_prompt("q", prompt(article="x"), CONTEXT)
    encoded = made.encode_prompt("q", prompt(article=f"x{evil}"), CONTEXT)
    specials = set(made.tokenizer.all_special_ids)
    assert [t for t in encoded.ids if t in specials] == [t for t in plain.ids if t in specials]
    (ids,) = made.encode_responses("q", prompt(), [f"a{evil}b"]).responses
    assert [t for t in ids if t in specials] == [made.end_of_turn]


def test_a_template_with_two_bos_is_refused(encoder, tokens):
    doubled = tokenizer(FAMILIES["llama"])
    doubled.chat_template = "{{ bos_token }}" + doubled.chat_template
    with pytest.raises(LampbenchError, match="2 tokens that begin a sequence"):
        PromptEncoder(doubled, None, CONTEXT, PAPER).encode_prompt("q", prompt(), CONTEXT)


CHATML = FAMILIES["qwen"].own_template
TURN_OPENERS = {  # templates whose BOS opens every turn
    "chatml": CHATML,
    "chatml with a system turn of its own": "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}" + CHATML,
}


def test_a_template_that_renders_nothing_is_refused():
    silent = tokenizer(FAMILIES["qwen"])
    silent.chat_template = "{% for message in messages %}{% endfor %}"
    made = PromptEncoder(silent, None, CONTEXT, PAPER)
    with pytest.raises(LampbenchError, match="q: the chat template renders no token"):
        made.encode_prompt("q", prompt(), CONTEXT)


def chatml(template):
    """A tokenizer like SmolLM2's: <|im_start|> is its BOS, and plain text gets none."""
    family = replace(FAMILIES["qwen"], bos="<|im_start|>", special=("<|endoftext|>",))
    made = tokenizer(family)
    made.backend_tokenizer.post_processor = None
    made.chat_template = template
    return made


@pytest.mark.parametrize("name", TURN_OPENERS)
def test_a_bos_that_opens_every_turn_is_no_doubled_beginning(name):
    made = PromptEncoder(chatml(TURN_OPENERS[name]), None, CONTEXT, PAPER)
    ids = made.encode_prompt("q", prompt(), CONTEXT).ids
    bos = made.tokenizer.bos_token_id
    assert ids[0] == bos != ids[1]
    assert ids.count(bos) == 3  # system, user, and the assistant's turn to come
    (response,) = made.encode_responses("q", prompt(), ["Storm"]).responses
    assert bos not in response
    reference = PromptEncoder(made.tokenizer, None, CONTEXT, REFERENCE)
    assert reference.encode_prompt("q", prompt(), CONTEXT).ids == ids, "its tokenizer adds none"


@pytest.mark.parametrize("name", TURN_OPENERS)
def test_a_doubled_beginning_is_refused_where_the_bos_opens_every_turn(name):
    doubled = chatml("{{ bos_token }}" + TURN_OPENERS[name])
    with pytest.raises(LampbenchError, match="4 tokens that begin a sequence"):
        PromptEncoder(doubled, None, CONTEXT, PAPER).encode_prompt("q", prompt(), CONTEXT)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma"])
def test_a_second_bos_within_a_prompt_is_refused(name):
    """Where turns do not begin with a BOS, a second one is an error wherever it is."""
    doubled = tokenizer(FAMILIES[name])
    doubled.chat_template += "{% if add_generation_prompt %}{{ bos_token }}{% endif %}"
    with pytest.raises(LampbenchError, match="2 tokens that begin a sequence"):
        PromptEncoder(doubled, None, CONTEXT, PAPER).encode_prompt("q", prompt(), CONTEXT)


def test_thinking_is_off():
    thinking = tokenizer(FAMILIES["qwen"])
    thinking.chat_template += (
        "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    )
    made = PromptEncoder(thinking, None, CONTEXT, PAPER)
    text = text_of(made, made.encode_prompt("q", prompt(), CONTEXT).ids)
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_reference_has_no_bos_in_training_and_two_in_inference(encoder):
    """The reference code's choice; Mistral's custom template renders none, its own one."""
    training = encoder("mistral", "mistral", fidelity=REFERENCE, training=True)
    answering = encoder("mistral", fidelity=REFERENCE)
    bos = answering.tokenizer.bos_token_id
    assert training.encode_prompt("q", prompt(), CONTEXT).ids.count(bos) == 0
    assert answering.encode_prompt("q", prompt(), CONTEXT).ids[:3].count(bos) == 2
    raw = answering.encode_raw("prompt", "response")
    assert raw == (*answering.tokenizer("prompt")["input_ids"],
                   *answering.tokenizer("response")["input_ids"])  # fmt: skip
    assert raw.count(bos) == 2


@pytest.mark.parametrize("name", NAMES)
def test_half_a_surrogate_pair_is_read_as_an_unknown_character(encoder, name):
    """Data that was made in Python may have one, and no tokenizer takes it."""
    made = encoder(name)
    half, whole = (prompt(article=f"storm {odd} " * 90) for odd in ("\ud83d", "\ufffd"))
    for room in (10_000, 120):
        assert made.encode_prompt("q", half, room) == made.encode_prompt("q", whole, room)
    assert made.encode_response("a \udc00") == made.encode_response("a \ufffd")
    assert made.encode_raw("\ud83d\ude00", "b") == made.encode_raw("\U0001f600", "b")


@pytest.mark.parametrize(("name", "template"), EACH)
def test_only_the_article_is_shortened(encoder, name, template):
    made = encoder(name, template)
    whole = made.encode_prompt("q", prompt(article=LONG), 10_000)
    encoded = made.encode_prompt("q", prompt(article=LONG), 120)
    assert 110 <= len(encoded.ids) <= 120
    assert encoded.dropped == len(whole.ids) - len(encoded.ids)
    text = text_of(made, encoded.ids)
    assert "You are a news headline generator." in text
    assert "Generate a headline.\narticle: storm storm" in text
    article = text.partition("article: ")[2].partition("\nheadline:")
    assert article[1]
    assert LONG.startswith(article[0])


def test_higher_ranks_go_first_and_the_last_piece_of_a_rank_before_the_others(encoder):
    made = encoder("qwen")
    pieces = [Piece("fox " * 30, 1), Piece("|"), Piece("town " * 30, 2), Piece("|"),
              Piece("coast " * 30, 2), Piece("|"), Piece("bridge " * 5)]  # fmt: skip
    asked = Prompt("", tuple(pieces))
    whole = len(made.encode_prompt("q", asked, 10_000).ids)

    def left(room):
        text = text_of(made, made.encode_prompt("q", asked, room).ids)
        return [text.count(word) for word in ("fox", "town", "coast", "bridge")]

    assert left(whole) == [30, 30, 30, 5]
    fox, town, coast, bridge = left(whole - 20)
    assert (fox, town, bridge) == (30, 30, 5)
    assert coast < 30
    coasts = len(made.tokenizer("coast " * 30)["input_ids"])
    fox, town, coast, bridge = left(whole - coasts - 20)
    assert (fox, coast, bridge) == (30, 0, 5)
    assert town < 30


def test_layout_and_odd_characters_survive_the_shortening(encoder):
    made = encoder("qwen")
    article = "Line one.\n\n  Line\ttwo: \U0001f600\U0001f3fd naïve \u202e\n" * 40
    for room in range(60, 75):
        text = text_of(made, made.encode_prompt("q", prompt(article=article), room).ids)
        kept = text.partition("article: ")[2].rpartition("\nheadline:")[0]
        assert article.startswith(kept)
        assert kept


def test_a_prompt_that_may_not_be_shortened_is_refused_by_name(encoder):
    fixed = Prompt("", (Piece(LONG),))
    with pytest.raises(LampbenchError, match=r"q17: the prompt takes \d+ tokens where 90 are left"):
        encoder("llama").encode_prompt("q17", fixed, 90)


def test_a_long_response_is_cut_and_then_has_no_end(encoder):
    made = encoder("llama", context=200)
    pair = made.encode_responses("q", prompt(article=LONG), ["ok", LONG])
    short, long = pair.responses
    assert pair.shortened
    assert short[-1] == made.end_of_turn
    assert len(long) == 100  # half of the context
    assert made.end_of_turn not in long
    assert len(pair.prompt) + len(long) <= 200


def test_a_response_may_take_what_a_short_prompt_leaves(encoder):
    made = encoder("llama", context=200)
    pair = made.encode_responses("q", Prompt("", (Piece("Hi"),)), [LONG])
    assert len(pair.prompt) + len(pair.responses[0]) == 200
    assert len(pair.responses[0]) > 150


def test_what_fits_is_not_shortened(encoder):
    made = encoder("llama")
    pair = made.encode_responses("q", prompt(), ["Storm closes harbour"])
    assert not pair.shortened
    assert pair.prompt == made.encode_prompt("q", prompt(), CONTEXT).ids
