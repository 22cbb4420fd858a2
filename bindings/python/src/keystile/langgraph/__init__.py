"""LangGraph's long-term memory and checkpoints in a Keystile store: what one worker wrote, no other loses.

from keystile.langgraph import KeystileSaver, KeystileStore

graph = builder.compile(store=KeystileStore("file:/var/lib/agents"), checkpointer=KeystileSaver("file:/var/lib/agents"))

Needs LangGraph: pip install "./bindings/python[langgraph]".
"""

from __future__ import annotations

try:
    import langgraph.checkpoint.base
    import langgraph.config
    import langgraph.store.base  # noqa: F401 - only to say it well
except ImportError as error:
    raise ImportError(
        f'keystile.langgraph needs LangGraph: pip install "./bindings/python[langgraph]" ({error})'
    ) from error

from ._saver import KeystileSaver
from ._store import ClaimedItem, KeystileStore

__all__ = ["ClaimedItem", "KeystileSaver", "KeystileStore"]
