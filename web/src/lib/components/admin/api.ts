import {
	get,
	post,
	query,
	type FeesView,
	type GroupView,
	type IncidentView,
	type JobView,
	type LedgerHead,
	type OutboxView,
	type PeriodFigures,
	type PoolCard,
	type RewardRunView,
	type RiskView,
	type SealView,
	type TradeView,
	type TreasuryView,
	type UserRow
} from '#lib/api/client.ts';

export type Period = 'day' | 'week' | 'month';
export type Paused = 'deposits' | 'withdrawals' | 'both';

/** Which groups of the ledger; empty texts filter nothing. */
export interface GroupFilter {
	account: string;
	asset: string;
	kind: string;
}

/** A segment of a path. */
const part = encodeURIComponent;

/** The requests of the owner's pages, one function each. All throw `ApiError`. */
export const owner = {
	treasury: () => get<TreasuryView>('/admin/treasury'),
	reconcile: () => post<TreasuryView>('/admin/reconcile'),
	incidents: () => get<IncidentView[]>('/admin/incidents'),
	outbox: (state: string | null, beforeMs: number | null, limit: number) =>
		get<OutboxView>(`/admin/outbox${query({ state, before_ms: beforeMs, limit })}`),
	retry: (payout: string) => post<OutboxView>(`/admin/outbox/${part(payout)}/retry`),
	releaseIncident: (incident: string, reason: string) =>
		post<TreasuryView>(`/admin/incidents/${part(incident)}/release`, { reason }),
	reconsider: (payment: string) => post<OutboxView>(`/admin/parked/${part(payment)}/reconsider`),
	sendBack: (payment: string, destination: string) =>
		post<OutboxView>(`/admin/parked/${part(payment)}/send-back`, { destination }),
	pools: () => get<PoolCard[]>('/pools'),
	risk: (pool: string) => get<RiskView>(`/pools/${part(pool)}/risk`),
	fees: (pool: string) => get<FeesView>(`/admin/pools/${part(pool)}/fees`),
	withdrawFees: (pool: string, asset: string, amount: string, destination: string, key: string) =>
		post<OutboxView>(`/admin/pools/${part(pool)}/fees/withdraw`, { asset, amount, destination, key }),
	pause: (pool: string, what: Paused, reason: string) =>
		post<PoolCard>(`/admin/pools/${part(pool)}/pause`, { what, reason }),
	resume: (pool: string, what: Paused, reason: string) =>
		post<PoolCard>(`/admin/pools/${part(pool)}/resume`, { what, reason }),
	users: () => get<UserRow[]>('/admin/users'),
	runs: (limit: number, beforeMs: number | null) =>
		get<RewardRunView[]>(`/admin/rewards/runs${query({ limit, before_ms: beforeMs })}`),
	preview: (pool: string, dayMs: number) =>
		get<RewardRunView[]>(`/admin/rewards/preview${query({ pool, day_ms: dayMs })}`),
	allocate: (pool: string, dayMs: number) =>
		post<RewardRunView[]>('/admin/rewards/allocate', { pool, day_ms: dayMs }),
	replay: (pool: string, dayMs: number) =>
		post<RewardRunView[]>('/admin/rewards/replay', { pool, day_ms: dayMs }),
	jobs: () => get<JobView[]>('/admin/jobs'),
	trades: (limit: number, beforeMs: number | null) =>
		get<TradeView[]>(`/admin/trades${query({ limit, before_ms: beforeMs })}`),
	periods: (period: Period, limit: number) =>
		get<PeriodFigures[]>(`/admin/periods${query({ period, limit })}`),
	head: () => get<LedgerHead>('/ledger/head'),
	seals: (limit: number, beforeNumber: number | null) =>
		get<SealView[]>(`/ledger/seals${query({ limit, before_number: beforeNumber })}`),
	seal: () => post<SealView>('/admin/seal'),
	groups: ({ account, asset, kind }: GroupFilter, limit: number, beforeSeq: number | null) =>
		get<GroupView[]>(`/admin/ledger${query({ account, asset, kind, limit, before_seq: beforeSeq })}`),
	group: (seq: number) => get<GroupView>(`/admin/ledger/${seq}`)
};
