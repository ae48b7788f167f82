"""What the checks of all sections share: the document, what has been checked so far, and the faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synsim.component import Compartment
from synsim.config.document import Document
from synsim.faults import ConfigError, Fault, Path, dotted, in_order, listing, suggest, there_are
from synsim.spec import TypedSettings
from synsim.values import Wrong, shown, shown_name

MOST_FAULTS = 100


class Checker:
    """One pass over a document: checked sections, and all the faults on the way."""

    def __init__(self, document: Document):
        self.document = document
        self.value = document.value
        self.faults: list[Fault] = []
        self.components: dict[str, TypedSettings] = {}
        self.compartments: dict[str, Mapping[str, Compartment]] = {}
        self.methods: dict[str, tuple[str, ...]] = {}
        self.data: dict[str, TypedSettings] = {}
        self.written_components: Mapping[str, Any] = {}
        self.written_data: Mapping[str, Any] = {}

    def finish(self) -> None:
        """Raise what was found; a place that is wrong already is not said to be wrong twice."""
        broken = {fault.path for fault in self.document.faults if fault.path}
        rest = [
            fault
            for fault in self.faults
            if not any(fault.path[:depth] in broken for depth in range(1, len(fault.path) + 1))
        ]
        faults = [self.document.marks.locate(fault) for fault in [*self.document.faults, *rest]]
        if faults:
            raise ConfigError(in_order(faults))

    def fault(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self.say(Fault(message, path, at_key=at_key))

    def say(self, fault: Fault) -> None:
        """Note a fault; where there are very many, the rest goes unsaid."""
        self.faults.append(fault)
        if len(self.faults) >= MOST_FAULTS:
            self.finish()

    def key_fault(self, path: Path, message: str) -> None:
        self.fault(path, message, at_key=True)

    def wrongs(self, base: Path, wrongs: Sequence[Wrong]) -> None:
        """Faults for what `describe` found wrong below `base`; sentences go on after a name."""
        for wrong in wrongs:
            path = (*base, *wrong.path)
            about = path[:-1] if wrong.at_key and not wrong.subject else path
            end = "" if wrong.sentence.endswith((".", "?")) else "."
            more = "" if wrong.at_key else self.document.about_text(path)
            self.fault(path, f"{self.called(about)} {wrong.sentence}{end}{more}", at_key=wrong.at_key)

    def inside(self, path: Path, at: int, message: str) -> None:
        """A fault inside a scalar, as far as its text stands in the file letter for letter."""
        fault = Fault(message, path)
        mark = self.document.values.get(path)
        if mark is not None and mark.inside is not None:
            fault = Fault(message, path, mark.line, mark.inside + at, mark.source)
        self.say(fault)

    def called(self, path: Path) -> str:
        """What a place is called in a sentence: z (LIFCell), z.tau_m, run.dt."""
        if not path:
            return "the config"
        section, *rest = path
        if section == "components" and rest:
            if len(rest) == 1:
                written = self.section("components").get(str(rest[0]))
                name = written.get("type") if isinstance(written, Mapping) else None
                return f"{path[1]} ({name})" if isinstance(name, str) and len(name) < 64 else str(path[1])
            return dotted(path[1:])
        if section == "phases" and rest and isinstance(rest[0], int):
            phases = self.value.get("phases")
            phase = phases[rest[0]] if isinstance(phases, list) and rest[0] < len(phases) else None
            name = phase.get("name") if isinstance(phase, Mapping) else None
            return dotted(("phases", name, *path[2:])) if isinstance(name, str) else dotted(path)
        return dotted(path)

    def mapping(self, value: Any, path: Path, of: str) -> dict[str, Any]:
        """A mapping, or {} with a fault where something else was written; nothing is an empty one."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.fault(path, f"{self.called(path)} must be a mapping of {of}, not {shown(value)}.")
        return {}

    def section(self, name: str) -> dict[str, Any]:
        value = self.value.get(name)
        return value if isinstance(value, dict) else {}

    def move_marks(self, here: Path, there: Path) -> None:
        """Let a second path lead to the places of a first, for what has two names."""
        if here == there:
            return
        for marks in (self.document.keys, self.document.values):
            for path in [each for each in marks if each[: len(here)] == here]:
                marks.setdefault((*there, *path[len(here) :]), marks[path])

    def no_component(self, name: str, *others: str) -> str:
        """What to say about a component that is not there."""
        near = suggest(name, [*self.written_components, *others])
        return f"there is no component {shown_name(name)}.{near or there_are(self.written_components)}"

    def of_kind(self, component: str, kinds: tuple[str, ...]) -> list[str]:
        return [name for name, each in self.compartments.get(component, {}).items() if each.kind in kinds]

    def entries(self) -> str:
        return there_are(self.written_data) or " There is no data."

    def compartment(
        self, text: str, path: Path, kinds: tuple[str, ...], rule: str, *, at_key: bool = False, at: int | None = None
    ) -> str | None:
        """`z.j` where component and compartment exist and it is of the right kind; None and a fault otherwise."""

        def say(message: str) -> None:
            if at is not None:
                self.inside(path, at, message)
            else:
                self.fault(path, message, at_key=at_key)

        component, dot, name = text.removeprefix("components.").partition(".")
        if not dot or not name:
            have = self.of_kind(component, kinds)
            example = f"{component}.{have[0]}" if have else "z.j"
            say(f"{text!r} is no compartment: write component.compartment, as {example}.")
            return None
        if component not in self.written_components:
            say(self.no_component(component))
            return None
        if component not in self.compartments:
            return None  # its type is not known, which has been said
        have, type_name = self.compartments[component], self.components[component].type
        wanted = self.of_kind(component, kinds)
        if name not in have:
            near = suggest(name, wanted) or suggest(name, have) or f" It has {listing(wanted) if wanted else 'none'}."
            say(f"{component} ({type_name}) has no compartment {name!r}.{near}")
            return None
        kind = have[name].kind
        if kind not in kinds:
            article = "an" if kind[0] in "aeiou" else "a"
            those = f": {listing(wanted)}" if wanted else f", and {component} ({type_name}) has none"
            say(f"{component}.{name} is {article} {kind}; {rule}{those}.")
            return None
        return f"{component}.{name}"
