/** Exact arithmetic on decimal strings, as the API sends them. Nothing here touches floating point. */

interface Scaled {
	units: bigint;
	scale: number;
}

const PLAIN = /^([+-]?)(\d+)(?:\.(\d+))?$/;

function parse(text: string): Scaled {
	const match = PLAIN.exec(text);
	if (!match) throw new RangeError(`not a plain decimal: ${text}`);
	const fraction = match[3] ?? '';
	const units = BigInt(`${match[2]}${fraction}`);
	return { units: match[1] === '-' ? -units : units, scale: fraction.length };
}

function aligned(left: string, right: string): [bigint, bigint, number] {
	const a = parse(left);
	const b = parse(right);
	const scale = Math.max(a.scale, b.scale);
	return [a.units * 10n ** BigInt(scale - a.scale), b.units * 10n ** BigInt(scale - b.scale), scale];
}

function text(units: bigint, scale: number): string {
	const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
	const whole = digits.slice(0, digits.length - scale);
	const fraction = digits.slice(digits.length - scale).replace(/0+$/, '');
	return `${units < 0n ? '-' : ''}${whole}${fraction && `.${fraction}`}`;
}

/** -1, 0 or 1, as an order for sorting. */
export function compare(left: string, right: string): -1 | 0 | 1 {
	const [a, b] = aligned(left, right);
	if (a === b) return 0;
	return a < b ? -1 : 1;
}

/** left + right, shortest exact form. */
export function add(left: string, right: string): string {
	const [a, b, scale] = aligned(left, right);
	return text(a + b, scale);
}

/** left − right, shortest exact form. */
export function subtract(left: string, right: string): string {
	const [a, b, scale] = aligned(left, right);
	return text(a - b, scale);
}

/** -1, 0 or 1. */
export function sign(value: string): -1 | 0 | 1 {
	return compare(value, '0');
}

/** Digits after the point that a step such as `0.01` needs. */
export function digits(step: string): number {
	return (step.split('.')[1] ?? '').replace(/0+$/, '').length;
}

/** What somebody typed as a plain decimal, or null: blanks, thousands and a comma for the point are understood. */
export function typed(input: string): string | null {
	const compact = input.replace(/[\s\u00a0\u202f_’']/g, '');
	const grouped = /^\d{1,3}(,\d{3})+(\.\d*)?$/.test(compact) ? compact.replaceAll(',', '') : compact;
	const plain = grouped.replace(',', '.');
	if (!/^\d*\.?\d*$/.test(plain) || !/\d/.test(plain)) return null;
	const [whole = '', fraction = ''] = plain.split('.');
	return `${whole.replace(/^0+(?=\d)/, '') || '0'}${fraction && `.${fraction}`}`;
}

/** So many per cent of a decimal, cut off at 18 digits after the point; all of it is exactly all of it. */
export function share(whole: string, percent: number): string {
	const { units, scale } = parse(whole);
	return percent === 100
		? text(units, scale)
		: text((units * 10n ** BigInt(Math.max(0, 18 - scale)) * BigInt(percent)) / 100n, Math.max(18, scale));
}

/** `factor × over ÷ under`, cut off after so many digits; null where nothing can be divided by. */
export function quotient(over: string, under: string, factor: string, places: number): string | null {
	const [a, b] = aligned(over, under);
	if (b === 0n) return null;
	const { units, scale } = parse(factor);
	return text((a * units * 10n ** BigInt(places)) / (b * 10n ** BigInt(scale)), places);
}
