"""The page that leads from zero to a campaign: its settings are accepted, its commands and options exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

import typer

from mrmarket.cli.app import app
from mrmarket.services.config import load_config

PAGE = Path(__file__).parents[2] / "docs" / "partners.md"
_FILLED = (
    ('asset_id = "…"', 'asset_id = "43d61dcd-e413-450d-80b8-101d5e903357"'),
    ("https://…", "https://node.example"),
    ("0x…", "0x" + "ab" * 20),
)


def blocks(kind: str) -> list[str]:
    """Fenced blocks of a language, in order."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def merged() -> dict[str, Any]:
    """All settings of the page as one table."""
    whole: dict[str, Any] = {}
    for block in blocks("toml"):
        filled = reduce(lambda text, pair: text.replace(*pair), _FILLED, block)
        for name, section in tomllib.loads(filled, parse_float=Decimal).items():
            if isinstance(section, dict):
                whole.setdefault(name, {}).update(section)
            else:
                whole[name] = section
    return whole


def written(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {written(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_the_settings_of_the_page_are_accepted_together(tmp_path: Path) -> None:
    """One file of them all: campaigns on one chain, rewards that reach Mixin, a token with a limit."""
    file = tmp_path / "market.toml"
    file.write_text("\n".join(f"{name} = {written(value)}" for name, value in merged().items()))
    partners = load_config(file, {}).config.partners
    (chain,) = partners.campaign_chains()
    (token,) = chain.tokens
    assert partners.campaigns.enabled
    assert partners.asset_of(chain.chain_id, token.address) is not None
    assert partners.vault.settings(chain, []).limit(token.address) == 5_000 * 10**18


def test_every_command_of_the_page_exists() -> None:
    """With the options that it is given there."""
    root = typer.main.get_command(app)
    lines = [line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    asked = [shlex.split(line)[1:] for line in lines if line.startswith("mrmarket ")]
    assert len(asked) > 15
    for words in asked:
        command: Any = root
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), words
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, (command.name, words)
