"""The plugins of a run's engines by name, and which of all engines can do something."""

from lampbench.engine.capability import Capability
from lampbench.engine.engine_plugin import EnginePlugin
from lampbench.plugin.identity import PLUGIN, code_identity
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest


class EnginePlugins:
    """Looks engines up in the registry, each once; `given` is one that need not be there."""

    def __init__(self, registry: Registry, given: EnginePlugin | None = None) -> None:
        self._registry = registry
        self._found = {given.name: given} if given else {}

    def get(self, name: str) -> EnginePlugin:
        """The engine of that name.

        Raises:
            LampbenchError: there is none, or it is broken.
        """
        if name not in self._found:
            self._found[name] = self._registry.engine(name)
        return self._found[name]

    def able(self, needed: frozenset[Capability]) -> tuple[str, ...]:
        """The names of the engines that are installed here and can do what is needed."""
        return tuple(name for name in self._registry.names("engine") if self._can(name, needed))

    @staticmethod
    def foreign_code(plugin: EnginePlugin) -> str | None:
        """The digest of an engine's file and of the local files that it imports; None for one of
        lampbench's own, which count their versions.
        """
        found = code_identity(type(plugin))
        return digest(found) if found[0] == PLUGIN else None

    def _can(self, name: str, needed: frozenset[Capability]) -> bool:
        try:
            plugin = self.get(name)
        except LampbenchError:  # a broken plugin is no remedy
            return False
        return needed <= plugin.capabilities and not plugin.missing()
