import type { Proof } from '../verify/proof';
import {
	get,
	post,
	query,
	type DepositPreview,
	type DepositRequest,
	type DepositView,
	type EquityPoint,
	type GroupView,
	type LedgerHead,
	type PeriodFigures,
	type PoolCard,
	type PortfolioPoint,
	type PositionsView,
	type RewardsView,
	type RewardTrace,
	type RiskView,
	type SealView,
	type StatementLine,
	type TradeView,
	type WalletView,
	type WithdrawalPreview,
	type WithdrawalRequest,
	type WithdrawalView,
	type BalanceWithdrawalRequest
} from './client';

export type Period = 'day' | 'week' | 'month';

/** A segment of a path. */
const part = encodeURIComponent;

/** Pools and books, as anybody may ask for them. All throw `ApiError`. */
export const pools = {
	all: () => get<PoolCard[]>('/pools'),
	one: (pool: string) => get<PoolCard>(`/pools/${part(pool)}`),
	equity: (pool: string) => get<EquityPoint[]>(`/pools/${part(pool)}/equity?limit=600`),
	risk: (pool: string) => get<RiskView>(`/pools/${part(pool)}/risk`),
	periods: (pool: string, period: Period) =>
		get<PeriodFigures[]>(`/pools/${part(pool)}/periods${query({ period, limit: 30 })}`),
	head: () => get<LedgerHead>('/ledger/head'),
	seals: () => get<SealView[]>('/ledger/seals?limit=5')
};

/** The signed-in user's own money. All throw `ApiError`. */
export const mine = {
	positions: () => get<PositionsView>('/me/positions'),
	portfolio: (start_ms: number, end_ms: number) =>
		get<PortfolioPoint[]>(`/me/portfolio${query({ start_ms, end_ms })}`),
	earnings: (period: Period, limit: number) =>
		get<PeriodFigures[]>(`/me/earnings${query({ period, limit })}`),
	previewDeposit: (wanted: DepositRequest) => post<DepositPreview>('/me/deposits/preview', wanted),
	deposit: (wanted: DepositRequest) => post<DepositView>('/me/deposits', wanted),
	deposits: () => get<DepositView[]>('/me/deposits?limit=50'),
	depositById: (id: string) => get<DepositView>(`/me/deposits/${part(id)}`),
	cancelDeposit: (id: string) => post<DepositView>(`/me/deposits/${part(id)}/cancel`, {}),
	payDeposit: (id: string) => post<DepositView>(`/me/deposits/${part(id)}/pay`, {}),
	previewWithdrawal: (wanted: WithdrawalRequest) =>
		post<WithdrawalPreview>('/me/withdrawals/preview', wanted),
	withdraw: (wanted: WithdrawalRequest) => post<WithdrawalView>('/me/withdrawals', wanted),
	withdrawBalance: (wanted: BalanceWithdrawalRequest) =>
		post<WithdrawalView>('/me/balances/withdraw', wanted),
	withdrawals: () => get<WithdrawalView[]>('/me/withdrawals?limit=50'),
	withdrawalById: (id: string) => get<WithdrawalView>(`/me/withdrawals/${part(id)}`),
	cancelWithdrawal: (id: string) => post<WithdrawalView>(`/me/withdrawals/${part(id)}/cancel`, {}),
	rewards: (start_ms: number, end_ms: number) =>
		get<RewardsView>(`/me/rewards${query({ start_ms, end_ms })}`),
	rewardTrace: (allocation: string) => get<RewardTrace>(`/me/rewards/${part(allocation)}`),
	statement: (start_ms: number, end_ms: number) =>
		get<StatementLine[]>(`/me/statement${query({ start_ms, end_ms })}`),
	trades: () => get<TradeView[]>('/me/trades?limit=200'),
	proof: () => get<Proof>('/me/proof'),
	group: (seq: number) => get<GroupView>(`/me/ledger/${seq}`),
	wallet: () => get<WalletView>('/me/wallet'),
	fundWallet: () => post<WalletView>('/me/wallet/fund', {})
};
