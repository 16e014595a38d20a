import { add, sign, subtract } from '#lib/format/decimal.ts';
import type { Numbers } from '#lib/format/number.ts';

const SHOWN = 8;

/** The part of an asset id that people say: `rail:USDT` is USDT. */
export function code(asset: string): string {
	return asset.startsWith('pool:') ? asset : asset.slice(asset.indexOf(':') + 1);
}

/**
 * A decimal string as it is shown in a table: no more than eight digits after the point, the rest cut off and
 * marked. The exact figure is always beside it, in the title and in exports.
 */
export function short(numbers: Numbers, value: string): string {
	const [whole = '0', fraction = ''] = value.split('.');
	const digits = fraction.replace(/0+$/, '');
	if (digits.length <= SHOWN) return numbers.exact(value);
	const kept = digits.slice(0, SHOWN).replace(/0+$/, '');
	// What is less than that is still not nothing.
	if (kept === '' && /^-?0+$/.test(whole)) return numbers.exact(value);
	return `${numbers.exact(kept ? `${whole}.${kept}` : whole)}…`;
}

/** Exact sum of decimal strings. */
export function total(values: readonly string[]): string {
	return values.reduce((sum, value) => add(sum, value), '0');
}

/** Sums by a name, in the order in which the names first come. */
export function totals<Row>(
	rows: readonly Row[],
	name: (row: Row) => string,
	value: (row: Row) => string
): { name: string; amount: string }[] {
	const sums = new Map<string, string>();
	for (const row of rows) sums.set(name(row), add(sums.get(name(row)) ?? '0', value(row)));
	return [...sums].map(([key, amount]) => ({ name: key, amount }));
}

/** An asset by its code: what is owed, what is held for it, and what is left over. */
export interface Coverage {
	asset: string;
	owed: string;
	/** Null where no place holds it, as with shares. */
	held: string | null;
	over: string | null;
}

/** What is owed beside what is held, code by code. A place that was not seen yet counts with what the books expect. */
export function coverage(
	liabilities: readonly { asset: string; amount: string }[],
	lines: readonly { asset: string; observed: string | null; expected: string }[]
): Coverage[] {
	const owed = totals(
		liabilities,
		(row) => code(row.asset),
		(row) => row.amount
	);
	return owed.map(({ name, amount }) => {
		const places = lines.filter(({ asset }) => code(asset) === name);
		const held = places.length ? total(places.map((line) => line.observed ?? line.expected)) : null;
		return { asset: name, owed: amount, held, over: held === null ? null : subtract(held, amount) };
	});
}

/** Whether a text is a plain decimal above zero: what may be sent as an amount to pay. */
export function isAmount(text: string): boolean {
	return /^\d+(\.\d+)?$/.test(text) && sign(text) > 0;
}

/** Midnight UTC of a date such as 2026-11-21; null where the text is none. */
export function dayMs(date: string): number | null {
	const ms = /^\d{4}-\d{2}-\d{2}$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : NaN;
	return Number.isNaN(ms) ? null : ms;
}

/** The date of a moment, UTC. */
export function dateOf(ms: number): string {
	return new Date(ms).toISOString().slice(0, 10);
}

/** A key that nobody chose before: a request that is sent twice with it is done once. */
export function newKey(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
		byte.toString(16).padStart(2, '0')
	).join('');
}
