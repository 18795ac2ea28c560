"""The registry of strategies: every module here defines one `STRATEGY`. A new strategy is one new file.

Settings (`--strategy`), stages, plans, colours and words follow from it. What it needs is in
`kdviz.method.strategy`.
"""

from importlib import import_module
from pkgutil import iter_modules

from kdviz.method.settings import MethodSettings
from kdviz.method.stages import Stage
from kdviz.method.strategy import Strategy

_ORDER = ("hard", "soft", "all", "pid", "sid")  # on screens; others follow
_SPEAKERS = ("all", "sid", "pid")
_found: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (import_module(f"{__name__}.{module.name}").STRATEGY for module in iter_modules(__path__))
}
STRATEGIES: dict[str, Strategy] = {name: _found[name] for name in dict.fromkeys((*_ORDER, *sorted(_found)))}
STAGED: tuple[str, ...] = tuple(name for name, strategy in STRATEGIES.items() if strategy.is_staged)
INTERNAL: tuple[str, ...] = tuple(
    name
    for name in dict.fromkeys((*_SPEAKERS, *STRATEGIES))  # in the order in which one of them speaks for all
    if STRATEGIES[name].uses_internal_terms
)


def planned_stages(settings: MethodSettings) -> list[Stage]:
    """The stages of a run as planned."""
    return STRATEGIES[settings.strategy].stages(settings)


def place_of(strategy: str) -> int:
    """The place of a strategy among all, for sorting; one that this version does not know comes last."""
    return list(STRATEGIES).index(strategy) if strategy in STRATEGIES else len(STRATEGIES)
