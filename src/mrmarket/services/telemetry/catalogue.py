"""Every figure there is, by name: what it means and what it is split by. Never by user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure. Gauges may be floats; what the books say never comes from here."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_METRICS: Final = (
    # The instance
    Metric(
        "mm_instance_info",
        "gauge",
        "1; the name and version of what is running.",
        ("name", "version", "node", "role"),
    ),
    Metric("mm_started_timestamp_seconds", "gauge", "When this process began to serve."),
    Metric("mm_ready", "gauge", "1 where a part is ready, as /readyz says.", ("part",)),
    Metric("mm_event_loop_lag_seconds", "gauge", "Longest delay of the event loop in the last half minute."),
    Metric("mm_request_seconds", "histogram", "Time to answer a request of the API.", ("method", "status")),
    Metric("mm_disk_free_bytes", "gauge", "Free space where the data folder is."),
    Metric("mm_scrape_failures_total", "counter", "Sources that could not be read.", ("source",)),
    Metric("mm_series_left_out", "gauge", "Readings left out because a figure has too many series."),
    # Runs
    Metric(
        "mm_run_info", "gauge", "1; where a run trades and for which pool.", ("run", "venue", "pair", "pool")
    ),
    Metric("mm_runs_held", "gauge", "Runs that this process trades."),
    Metric("mm_runs_wanted", "gauge", "Runs that the owner wants traded, by all engines together."),
    Metric("mm_runs_unheld", "gauge", "Wanted runs whose engine has not reported for a minute."),
    Metric("mm_strategy_state", "gauge", "1 for the state that a run is in.", ("run", "state")),
    Metric("mm_selection_turn", "gauge", "1 for the strategy that has the turn.", ("candidate",)),
    Metric(
        "mm_selection_score",
        "gauge",
        "What a strategy scores: fraction of its capital per hour; left out where it has no score.",
        ("candidate",),
    ),
    Metric("mm_selection_switches", "gauge", "Switches of strategies within the last hour."),
    Metric("mm_quotes_pulled", "gauge", "1 while a running strategy's quotes are pulled.", ("run",)),
    Metric(
        "mm_orders_total",
        "counter",
        "Orders: placed and cancelled by the event log, refused since the start.",
        ("venue", "pair", "state"),
    ),
    Metric("mm_orders_open", "gauge", "Orders that stand at the venue or might.", ("run",)),
    Metric("mm_orders_unknown", "gauge", "Orders whose last request had no answer yet.", ("run",)),
    Metric("mm_fills_total", "counter", "Trades of ours.", ("venue", "pair")),
    Metric("mm_quote_uptime_ratio", "gauge", "Share of the time with two-sided quotes.", ("run",)),
    Metric(
        "mm_spread_captured_bps", "histogram", "How far from the mid fills were, in our favour.", ("run",)
    ),
    Metric("mm_inventory_skew", "gauge", "Share of base held less the share aimed for.", ("run",)),
    Metric(
        "mm_quote_latency_seconds",
        "gauge",
        "Cause of an order to its hand-over to the HTTP client.",
        ("run", "quantile"),
    ),
    Metric("mm_lease_seconds_left", "gauge", "Until the run's lease ends, by the store's word.", ("run",)),
    Metric("mm_restrictions", "gauge", "Reasons for which a scope may not trade freely.", ("scope", "state")),
    Metric(
        "mm_differences_open",
        "gauge",
        "Differences between what we know and what a venue says.",
        ("run", "kind"),
    ),
    Metric("mm_reconciliations_total", "counter", "Complete comparisons with the venue.", ("run",)),
    Metric("mm_reconcile_failures_total", "counter", "Comparisons that the venue did not answer.", ("run",)),
    # Venues
    Metric("mm_ws_age_seconds", "gauge", "Age of the oldest book that is followed at a venue.", ("venue",)),
    Metric("mm_user_stream_up", "gauge", "1 while the venue tells us of our orders.", ("venue",)),
    Metric("mm_rate_budget_ratio", "gauge", "Share that is left of a rate limit.", ("venue", "limit")),
    Metric(
        "mm_rate_refusals_total",
        "counter",
        "Requests kept back because the rate budget was spent.",
        ("venue",),
    ),
    # Money
    Metric("mm_equity_quote", "gauge", "The pool's worth in its quote, at the last settlement.", ("pool",)),
    Metric("mm_facts_unsettled", "gauge", "Facts of the event log that are not in the books yet."),
    Metric("mm_fills_parked", "gauge", "Trades that a rule keeps out of the ledger."),
    Metric("mm_ledger_seq", "gauge", "The ledger's last group."),
    Metric("mm_ledger_verify_ok", "gauge", "1 if the last verification of the ledger held."),
    Metric(
        "mm_reconcile_difference",
        "gauge",
        "Held less owed that nothing on its way explains, in whole units.",
        ("asset",),
    ),
    Metric("mm_incidents_open", "gauge", "Assets whose payouts are stopped because they do not add up."),
    Metric("mm_outbox_depth", "gauge", "Payments out that have not ended."),
    Metric("mm_outbox_oldest_seconds", "gauge", "Age of the oldest payment out that has not ended."),
    Metric("mm_reward_unallocated", "gauge", "Rewards received that nobody has been given.", ("asset",)),
    # Partners
    Metric("mm_chain_lag_blocks", "gauge", "Blocks of a chain that are there and not read.", ("chain",)),
    Metric("mm_partner_troubles", "gauge", "Parts of partners that do not work at the moment."),
    Metric("mm_campaigns", "gauge", "Campaigns at each stage.", ("stage",)),
    Metric("mm_sweeps_open", "gauge", "Transfers out of the vault whose end is not known."),
    Metric(
        "mm_reward_afar", "gauge", "Rewards in the books that have not reached the users' rail.", ("asset",)
    ),
    # The Angel and the other processes
    Metric("mm_angel_heartbeat_timestamp_seconds", "gauge", "An Angel's last sign of life.", ("angel",)),
    Metric(
        "mm_node_heartbeat_timestamp_seconds", "gauge", "A process's last sign of life.", ("node", "role")
    ),
    Metric("mm_angel_actions", "gauge", "What Angels did in the last hour.", ("action",)),
    # Notices
    Metric("mm_notices_total", "counter", "Notices by how they fared.", ("way", "outcome")),
)

CATALOGUE: Final[Mapping[str, Metric]] = MappingProxyType({metric.name: metric for metric in _METRICS})
"""By name."""
