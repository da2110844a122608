"""Models behind an OpenAI-compatible API: hosted ones, vLLM, llama.cpp, ollama."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lampbench.engine.capability import Capability
from lampbench.engine.engine_argument import EngineArgument
from lampbench.engine.engine_plugin import EnginePlugin, EngineSetup, register_engine
from lampbench.engine.models import ModelSpec
from lampbench.engine.openai.api_options import ApiOptions, parse_fields
from lampbench.engine.openai.token_account import TokenAccount
from lampbench.engine.protocol import Engine
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical

_NOTES = (
    "behind an API: its weights, precision, tokenizer and chat template are not known, and the "
    "same name may be another model tomorrow",
    "greedy decoding is temperature 0, which an API does not promise to repeat exactly",
)


@register_engine("openai")
class OpenAI(EnginePlugin):
    """Asks a server for chat completions. Nothing can be trained, so that methods are those that
    change the prompt.

    One instance serves a command: its engines share one account of tokens.
    """

    summary = "a model behind an OpenAI-compatible API (--api-base URL): prompts only, no training"
    capabilities = frozenset({Capability.GENERATE, Capability.SAMPLE, Capability.SCORE})
    reads_model_files: ClassVar = False
    ignored: ClassVar = dict.fromkeys(
        ("device", "dtype", "chat_template", "batch_size", "model_arguments"),
        "it is for models on this machine, and here the server decides it",
    )
    in_one_process: ClassVar = True
    arguments = (
        EngineArgument("api_base", str, "address of the API, as --api-base"),
        EngineArgument("fields", str, "further fields of every request, as a JSON object; "
                       '{"seed": null} leaves the seed out'),
        EngineArgument("key_variable", str, "environment variable of the key; default: "
                       "LAMPBENCH_API_KEY, or for api.openai.com OPENAI_API_KEY", keyed=False),
        EngineArgument("concurrency", int, "most requests at the same time", 8, keyed=False, low=1),
        EngineArgument("timeout", float, "seconds for one request", 300.0, keyed=False, low=0.1),
        EngineArgument("retries", int, "how often a request that failed for a passing reason is "
                       "sent again", 6, keyed=False, low=0),
        EngineArgument("withheld", str, "when an answer is filtered or empty: stop, after all "
                       "others, or record it as empty", "stop", keyed=False,
                       choices=("stop", "record")),
        EngineArgument("max_total_tokens", int, "as --max-total-tokens", keyed=False, low=1),
        EngineArgument("max_cost", float, "as --max-cost", keyed=False, low=0),
        EngineArgument("input_price", float, "price of a million tokens read", keyed=False, low=0),
        EngineArgument("output_price", float, "price of a million tokens written", keyed=False,
                       low=0),
    )  # fmt: skip

    def __init__(self) -> None:
        self._account: TokenAccount | None = None

    def model(self, name: str) -> ModelSpec:
        """Any name: the server knows its models."""
        return ModelSpec(name, name, dtype="", preset="api", notes=_NOTES)

    def identity(self, setup: EngineSetup) -> Mapping[str, str]:
        """The server and the further fields of requests.

        Raises:
            LampbenchError: an argument is not valid.
        """
        options = api_options(setup)
        fields = {"fields": canonical(options.fields)} if options.fields else {}
        return {"name": self.name, "version": self.version, "server": options.place, **fields}

    def fingerprint(self, setup: EngineSetup) -> str:
        """The server and the model's name: of the weights nothing is known."""
        return f"{api_options(setup).place} {setup.model.name}"

    def prices(self, setup: EngineSetup) -> tuple[float, float] | None:
        """Of a million tokens read and of a million written, if they were given."""
        options = api_options(setup)
        if options.input_price is None or options.output_price is None:
            return None
        return options.input_price, options.output_price

    def check_options(self, setup: EngineSetup) -> None:
        """Refuse the decoding of the released code.

        Raises:
            LampbenchError: it is asked for, or an argument is not valid.
        """
        _refuse_released_decoding(setup)
        api_options(setup)

    def check(self, setup: EngineSetup) -> None:
        """Ask whether the server is there.

        Raises:
            LampbenchError: the key is not valid, or no such server answers.
        """
        from lampbench.engine.openai.check_server import check_server

        check_server(api_options(setup), setup.model.name, setup.say)

    def open(self, setup: EngineSetup) -> Engine:
        """A client of the server."""
        from lampbench.engine.openai.api_engine import ApiEngine

        options = api_options(setup)
        if self._account is None:
            self._account = TokenAccount(options)
        return ApiEngine(setup.model.name, options, self._account, setup.say)

    def close(self, engine: Any) -> None:
        """Close the connections."""
        engine.close()

    def holds_memory(self, setup: EngineSetup) -> bool:
        """The server's memory is its own."""
        return False


def api_options(setup: EngineSetup) -> ApiOptions:
    """The engine's arguments, checked.

    Raises:
        LampbenchError: the address is missing, or an argument is not valid.
    """
    own = {each.name for each in OpenAI.arguments}  # a subclass may declare more
    given = {name: value for name, value in setup.arguments.items() if name in own}
    address, fields = given.pop("api_base"), given.pop("fields")
    if address is None:
        raise LampbenchError(
            "--engine openai: give the address of the API with --api-base, for example "
            "https://api.openai.com/v1 or http://localhost:8000/v1"
        )
    return ApiOptions(address=address, fields=parse_fields(fields) if fields else {}, **given)


def _refuse_released_decoding(setup: EngineSetup) -> None:
    if setup.fidelity.name != "paper":
        raise LampbenchError(
            f"--fidelity {setup.fidelity.name} decodes token by token as the released code does, "
            "which an API cannot; leave it out with --engine openai"
        )
