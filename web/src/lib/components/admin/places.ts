import { query } from '#lib/api/client.ts';
import type { AdminKey } from './texts.ts';

/** The owner's pages, as the navigation lists them. */
export const PAGES = [
	'operations',
	'strategies',
	'money',
	'rewards',
	'partners',
	'users',
	'pools',
	'ledger',
	'performance'
] as const;

export type PageName = (typeof PAGES)[number];

/** The text of a page's name. */
export const pageKey = (name: PageName): AdminKey => `page.${name}`;

/** The ledger's list, filtered. */
export function ledgerHref(filter: { account?: string; asset?: string; kind?: string }): string {
	return `/admin/ledger${query(filter)}`;
}

/** Kinds of transfers, as the ledger names them. */
export const KINDS = [
	'DEPOSIT',
	'LOCK',
	'UNLOCK',
	'MINT_SHARES',
	'BURN_SHARES',
	'SETTLE_MM_PNL',
	'FEE',
	'MANAGEMENT_FEE',
	'PERFORMANCE_FEE',
	'DEPOSIT_FEE',
	'REWARD_RECEIVED',
	'CREDIT_REWARD',
	'DEBIT_WITHDRAW',
	'ALLOCATION_RELEASE',
	'CUSTODY_MOVE',
	'NETWORK_FEE',
	'REFUND',
	'REVERSAL',
	'ADJUSTMENT'
] as const;
