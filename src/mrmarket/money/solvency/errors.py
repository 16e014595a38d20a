"""What a look at the assets can refuse."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class SolvencyError(MrMarketError):
    """A look at the assets was not taken or its report does not hold."""

    code = "solvency_error"


class UnknownIncidentError(SolvencyError):
    """There is no such open incident."""

    code = "unknown_incident"

    def __init__(self, incident_id: str) -> None:
        self.incident_id = incident_id
        super().__init__(f"there is no open incident {incident_id!r}; list the incidents for the ids")


class ReportError(SolvencyError):
    """A signed report is not what it claims to be."""

    code = "report_refused"

    def __init__(self, number: int | None, problem: str) -> None:
        self.number = number
        self.problem = problem
        super().__init__(f"solvency report {number}: {problem}")
