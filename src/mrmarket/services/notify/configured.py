"""The ways that a configuration and the environment open."""

from __future__ import annotations

from collections.abc import Mapping

from mrmarket.core.clock import Clock
from mrmarket.services.notify.delivery import NotifyConfigError, Way
from mrmarket.services.notify.gate import GateRules
from mrmarket.services.notify.notifier import Notifier
from mrmarket.services.notify.section import NotifySection
from mrmarket.services.notify.telegram import Telegram
from mrmarket.services.notify.webhook import Webhook


def open_ways(section: NotifySection, environ: Mapping[str, str], instance: str, clock: Clock) -> list[Way]:
    """Every way whose variables are set.

    Raises:
        NotifyConfigError: one of a pair of variables is missing, or a value is none.
    """
    ways: list[Way] = []
    pair = _pair(environ, section.webhook_url_env, section.webhook_secret_env)
    if pair is not None:
        ways.append(Webhook(*pair, instance, clock))
    pair = _pair(environ, section.telegram_token_env, section.telegram_chat_env)
    if pair is not None:
        ways.append(Telegram(section.telegram_url, *pair, instance))
    return ways


def open_notifier(
    section: NotifySection, environ: Mapping[str, str], instance: str, clock: Clock
) -> Notifier:
    """A notifier with every configured way; without one it only writes to the log. It delivers once started.

    Raises:
        NotifyConfigError: as `open_ways`.
    """
    rules = GateRules(section.severity, section.quiet_s * 1_000, section.per_minute)
    return Notifier(open_ways(section, environ, instance, clock), rules, clock)


def _pair(environ: Mapping[str, str], first: str, second: str) -> tuple[str, str] | None:
    values = environ.get(first, ""), environ.get(second, "")
    if not any(values):
        return None
    if not all(values):
        there, missing = (first, second) if values[0] else (second, first)
        raise NotifyConfigError(f"{there} is set and {missing} is not; set both, or neither")
    return values
