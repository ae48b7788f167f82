"""Text for people about component types: the list, one type in full, the reference page, and what a search finds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from synsim import catalogue, describe
from synsim.spec import Phase, RecordSettings, RunSettings


def wrapped(head: str, text: str) -> Iterator[str]:
    """A paragraph after a head, its lines up to 118 characters and under each other."""
    yield from textwrap.wrap(
        text,
        118,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def catalogue_lines(cards: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """All types by family."""
    families: dict[str, list[tuple[str, str]]] = {}
    for card in cards:
        families.setdefault(card["family"], []).append((card["type"], card["doc"]))
    width = max(len(name) for entries in families.values() for name, _ in entries)
    for family in sorted(families):
        yield f"{family}"
        for name, doc in families[family]:
            yield f"  {name.ljust(width)}  {doc}"
    yield ""
    yield "`synsim components TYPE` shows one in full."


def card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """One type in full."""
    yield f"{card['type']} ({card['family']}): {card['doc']}"
    if card["parts"]:
        yield "  " + " x ".join(f"{role} {name}" for role, name in card["parts"].items())
    if card["equation"]:
        yield ""
        yield textwrap.indent(card["equation"], "  ")
    if card["source"]:
        yield ""
        yield from wrapped("  Source: ", card["source"])
    yield ""
    yield "settings"
    for setting in card["settings"]:
        yield from wrapped(f"  {setting['name']}: ", setting_words(setting))
    yield ""
    yield "compartments"
    for each in card["compartments"]:
        yield from wrapped(f"  {each['name']}: ", _compartment_words(each))
    yield ""
    yield f"methods: {', '.join(card['methods'])}"


def setting_words(setting: Mapping[str, Any]) -> str:
    """What a setting is, its unit, what it may be and what it is when left out, in one line."""
    bits = [
        setting["doc"],
        f"[{setting['unit']}]" if setting["unit"] else "",
        f"({setting['values']}" + _bounds(setting) + ")",
        "required" if setting["required"] else f"default {_default(setting['default'])}",
    ]
    if setting.get("also"):
        bits.append(f"also {', '.join(setting['also'])}")
    return " ".join(bit for bit in bits if bit)


def _bounds(setting: Mapping[str, Any]) -> str:
    return "".join(f", {words} {bound:g}" for words, bound in setting.get("bounds", {}).items())


def _default(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_default(item)}" for key, item in value.items() if item not in (None, False))
        return f"{{{inner}}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _compartment_words(each: Mapping[str, Any]) -> str:
    bits = [each["kind"], f"[{each['unit']}]" if each["unit"] else "", each["doc"]]
    if each["kind"] == "inlet":
        bits.append("needs a wire" if each.get("required") else f"default {_unwired(each['default'])}")
    return " ".join(bit for bit in bits if bit)


def _unwired(default: float | str) -> str:
    """What an inlet reads that no wire feeds: a number, or what a setting says."""
    return f"the setting {default}" if isinstance(default, str) else f"{default:g}"


def card_markdown(card: Mapping[str, Any], level: int = 2) -> Iterator[str]:
    """One type as a section of the reference page."""
    yield f"{'#' * level} {card['type']}"
    yield ""
    yield f"{card['doc']} *{card['family']}*" if "family" in card else card["doc"]
    if card.get("parts"):
        yield ""
        yield "Parts: " + ", ".join(f"{role} `{name}`" for role, name in card["parts"].items())
    if card["equation"]:
        yield ""
        yield from ("```text", card["equation"], "```")
    if card["source"]:
        yield ""
        yield f"Source: {card['source']}"
    if card["settings"]:
        yield ""
        yield from _settings_markdown(card["settings"])
    if card["compartments"]:
        yield ""
        yield from ("| compartment | kind | unit | |", "|---|---|---|---|")
        for each in card["compartments"]:
            yield f"| `{each['name']}` | {each['kind']} | {each['unit']} | {_cell(each['doc'])} |"
    if "methods" in card:
        yield ""
        yield f"Methods: {', '.join(f'`{name}`' for name in card['methods'])}"
    yield ""


def _settings_markdown(settings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("| setting | unit | values | default | |", "|---|---|---|---|---|")
    for setting in settings:
        default = "required" if setting["required"] else f"`{_default(setting['default'])}`"
        values = setting["values"] + _bounds(setting)
        yield f"| `{setting['name']}` | {setting['unit']} | {_cell(values)} | {default} | {_cell(setting['doc'])} |"


def page() -> Iterator[str]:
    """The reference page: all types, what their settings may be made of, and the keys of the sections of a config."""
    cards = [describe.card(name) for name in catalogue.types()]
    yield "# Reference"
    yield ""
    yield f"{len(cards)} component types, written by `synsim components --markdown`."
    yield ""
    for family in sorted({card["family"] for card in cards}):
        names = [card["type"] for card in cards if card["family"] == family]
        yield f"- {family}: {', '.join(f'[{name}](#{name.lower()})' for name in names)}"
    yield ""
    for card in cards:
        yield from card_markdown(card)
    for kind, title in _KINDS.items():
        yield f"## {title}"
        yield ""
        for declared in catalogue.parts(kind).values():
            yield from card_markdown(describe.part_card(declared), 3)
    for name, keys in (("run", RunSettings), ("an entry of record", RecordSettings), ("an entry of phases", Phase)):
        yield f"## The keys of {name}"
        yield ""
        yield from _settings_markdown(describe.setting_card(each) for each in describe.settings_of(keys).values())
        yield ""


_KINDS: Mapping[str, str] = {
    "connectivity": "Connectivities of a synapse",
    "dynamics": "Dynamics of a synapse",
    "rule": "Rules of a synapse",
    "initialiser": "Initialisers",
    "data": "Data entries",
    "corruption": "Corruptions of data",
}


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


# ---------------------------------------------------------------------------------------------------------- a search


def search(cards: Iterable[Mapping[str, Any]], text: str) -> list[tuple[Mapping[str, Any], list[str]]]:
    """The types in which every word of a text is found (part of a word is enough, case aside), best first.

    Each with the settings and compartments that hold one of the words, as lines. A word in a name counts more than
    one in a description, that more than one in a setting.
    """
    words = text.casefold().split()
    found: list[tuple[tuple[int, ...], Mapping[str, Any], list[str]]] = []
    for card in cards:
        about = f"{card['doc']} {card['family']} {card['equation']} {' '.join(card['parts'].values())}".casefold()
        lines: dict[str, str] = {}
        for kind, entries in (("setting", card["settings"]), ("compartment", card["compartments"])):
            for each in entries:
                unit = f" [{each['unit']}]" if each["unit"] else ""
                names = ", ".join([each["name"], *each.get("also", ())])
                lines[f"{kind if kind == 'setting' else each['kind']} {names}{unit}: {each['doc']}"] = (
                    f"{names} {each['doc']} {_default(each.get('default'))}".casefold()
                )
        places = [card["type"].casefold(), about, " ".join(lines.values())]
        ranks = [next((rank for rank, place in enumerate(places) if word in place), None) for word in words]
        if words and None not in ranks:
            hits = [line for line, place in lines.items() if any(word in place for word in words)]
            found.append((tuple(sorted((rank or 0 for rank in ranks), reverse=True)), card, hits))
    return [(card, hits) for _, card, hits in sorted(found, key=lambda each: (each[0], each[1]["type"]))]


def search_lines(found: Iterable[tuple[Mapping[str, Any], list[str]]]) -> Iterator[str]:
    """What a search found."""
    for card, hits in found:
        yield f"{card['type']} ({card['family']}): {card['doc']}"
        for hit in hits:
            yield from wrapped("  ", hit)
    yield ""
    yield "`synsim components TYPE` shows one in full."
