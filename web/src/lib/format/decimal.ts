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
