import type { GroupView } from '../api/client';

/** What was found when an entry's text was hashed again; `code` is stable, pages translate it. */
export type ReceiptCheck =
	{ ok: true; hash: string } | { ok: false; code: 'masked' | 'hash' | 'differs'; hash: string | null };

/** The places of a group's canonical text; see docs/ledger-format.md. */
type Canonical = [
	version: number,
	seq: number,
	key: string,
	content: string,
	at_ms: number,
	epoch: number,
	outcome: string,
	message: string,
	memo: string,
	reverses: string | null,
	assets: unknown[],
	accounts: unknown[],
	transfers: [
		debit: string,
		credit: string,
		asset: string,
		units: string | number,
		kind: string,
		more?: unknown
	][]
];

/**
 * Hash an entry's text anew and compare what it says with what the page shows.
 * SHA-256 is the browser's own; nothing is asked of the instance.
 */
export async function checkReceipt(group: GroupView): Promise<ReceiptCheck> {
	if (group.canonical === null) return { ok: false, code: 'masked', hash: null };
	const text = new TextEncoder().encode(group.canonical);
	const before = fromHex(group.previous_hash);
	const whole = new Uint8Array(before.length + text.length);
	whole.set(before);
	whole.set(text, before.length);
	const hash = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', whole)));
	if (hash !== group.hash) return { ok: false, code: 'hash', hash };
	return saysTheSame(group, group.canonical) ? { ok: true, hash } : { ok: false, code: 'differs', hash };
}

function saysTheSame(group: GroupView, canonical: string): boolean {
	let text: Canonical;
	try {
		text = JSON.parse(canonical) as Canonical;
	} catch {
		return false;
	}
	const [, seq, key, , at_ms, , outcome, , , , , , transfers] = text;
	return (
		seq === group.seq &&
		key === group.key &&
		at_ms === group.at_ms &&
		outcome === group.outcome &&
		transfers.length === group.entries.length &&
		group.entries.every((entry, place) => {
			const [debit, credit, asset, units, kind] = transfers[place]!;
			return (
				debit === entry.debit &&
				credit === entry.credit &&
				asset === entry.asset &&
				String(units) === entry.units &&
				kind === entry.kind
			);
		})
	);
}

function fromHex(text: string): Uint8Array {
	return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
		parseInt(text.slice(2 * at, 2 * at + 2), 16)
	);
}

function toHex(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Base units as a decimal string. */
export function fromUnits(units: bigint, decimals: number): string {
	const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, '0');
	const fraction = decimals ? digits.slice(-decimals).replace(/0+$/, '') : '';
	return `${units < 0n ? '-' : ''}${digits.slice(0, digits.length - decimals)}${fraction && `.${fraction}`}`;
}
