"""How hard the properties try: few examples by default, many with `--hypothesis-profile=long`."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings

#: What the numbers in the tests are meant for.
_USUAL = 100

#: Nothing is timed: a machine that stands still for a moment fails no property.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("long", settings.get_profile("usual"), max_examples=50 * _USUAL)
settings.load_profile("usual")


def at_length() -> bool:
    """Whether the profile `long` is in force, under which races and kills too go on for longer."""
    return settings().max_examples > _USUAL


def trying(examples: int, **more: Any) -> settings:
    """So many examples, each on the database of the test; fifty times as many in the profile `long`.

    A failure prints how to see it again; `--hypothesis-seed` repeats a whole run. Examples with a database behind them
    are not shrunk: their rows stay, and each costs too much.
    """
    return settings(
        max_examples=max(1, examples * settings().max_examples // _USUAL),
        deadline=None,
        print_blob=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )
