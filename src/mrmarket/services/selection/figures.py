"""What Prometheus sees of the choice between strategies."""

from __future__ import annotations

from collections.abc import Iterator

from mrmarket.services.selection.office import SelectionOffice
from mrmarket.services.telemetry.reading import Reading, Source


def selection_source(office: SelectionOffice) -> Source:
    """Who has the turn, and what each scores."""

    def read() -> Iterator[Reading]:
        view = office.standing()
        for each in view.candidates:
            yield Reading("mm_selection_turn", float(each.has_turn), (each.id,))
            if each.score is not None and each.score.value is not None:
                yield Reading("mm_selection_score", each.score.value, (each.id,))
        yield Reading("mm_selection_switches", float(view.switches_last_hour))

    return read
