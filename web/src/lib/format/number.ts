import { digits } from './decimal';

/** A decimal string is formatted exactly; the type says a number because TypeScript's library lags behind. */
type Exact = Intl.StringNumericLiteral;

/** Assets whose cents are the smallest amount anybody speaks of. */
const CURRENCIES: ReadonlySet<string> = new Set(['USDT', 'USDC', 'USD', 'EUR', 'DAI']);

/** Number formats of one language. Decimal strings keep every digit: they never become floats. */
export class Numbers {
	readonly #formats = new Map<string, Intl.NumberFormat>();

	constructor(readonly locale: string) {}

	#format(options: Intl.NumberFormatOptions): Intl.NumberFormat {
		const key = JSON.stringify(options);
		const known = this.#formats.get(key);
		if (known) return known;
		const made = new Intl.NumberFormat(this.locale, options);
		this.#formats.set(key, made);
		return made;
	}

	/** A decimal string with a fixed number of digits after the point. */
	fixed(value: string, places: number): string {
		return this.#format({ minimumFractionDigits: places, maximumFractionDigits: places }).format(
			value as Exact
		);
	}

	/** The same with + or − in front (nothing in front of zero). */
	signed(value: string, places: number): string {
		return this.#format({
			minimumFractionDigits: places,
			maximumFractionDigits: places,
			signDisplay: 'exceptZero'
		}).format(value as Exact);
	}

	/** A decimal string with all the digits it has. */
	exact(value: string): string {
		return this.#format({ maximumFractionDigits: 20 }).format(value as Exact);
	}

	/** A decimal string with all the digits it has, and no fewer than its grid asks for. */
	atLeast(value: string, step: string): string {
		return this.#format({ minimumFractionDigits: digits(step), maximumFractionDigits: 20 }).format(
			value as Exact
		);
	}

	/** A price or a size on its grid: as many digits as one step has. */
	onGrid(value: string, step: string): string {
		return this.fixed(value, digits(step));
	}

	/** A decimal string with at most so many digits that count: a tiny fee is not shown as none. */
	significant(value: string, count: number): string {
		return this.#format({ maximumSignificantDigits: count }).format(value as Exact);
	}

	/**
	 * An amount of money: two digits after the point where the asset is a currency, six elsewhere, cut off rather
	 * than rounded up, so that nobody reads more than there is; what is smaller still shows two digits that count.
	 */
	amount(value: string, asset: string, sign = false): string {
		const places = CURRENCIES.has(asset) ? 2 : 6;
		const shown: Intl.NumberFormatOptions = {
			roundingMode: 'trunc',
			signDisplay: sign ? 'exceptZero' : 'auto'
		};
		const tiny = /^[+-]?0*(\.(0*))?[1-9]/.exec(value);
		const small = tiny?.[1] !== undefined && !/[1-9]/.test(value.split('.')[0] ?? '');
		if (small && (tiny?.[2]?.length ?? 0) >= places)
			return this.#format({ maximumSignificantDigits: 2, ...shown }).format(value as Exact);
		return this.#format({ minimumFractionDigits: 2, maximumFractionDigits: places, ...shown }).format(
			value as Exact
		);
	}

	/** A fraction given as decimal text, as per cent, with the digits it has. */
	rate(fraction: string): string {
		return this.#format({ style: 'percent', maximumFractionDigits: 4 }).format(fraction as Exact);
	}

	/** A part as per cent, with its sign. */
	signedPercent(fraction: number, places = 2): string {
		return this.#format({
			style: 'percent',
			minimumFractionDigits: places,
			maximumFractionDigits: places,
			signDisplay: 'exceptZero'
		}).format(fraction);
	}

	/** So many days, hours, minutes or seconds, spelled out. */
	span(seconds: number): string {
		const [value, unit] =
			seconds >= 86_400
				? [seconds / 86_400, 'day']
				: seconds >= 3600
					? [seconds / 3600, 'hour']
					: seconds >= 120
						? [seconds / 60, 'minute']
						: [Math.round(seconds), 'second'];
		return this.#format({ style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 1 }).format(value);
	}

	/** A whole number. */
	count(value: number): string {
		return this.#format({ maximumFractionDigits: 0 }).format(value);
	}

	/** A fraction as per cent. */
	percent(fraction: number, places = 1): string {
		return this.#format({
			style: 'percent',
			minimumFractionDigits: places,
			maximumFractionDigits: places
		}).format(fraction);
	}

	/** A measured figure, such as basis points. */
	measure(value: number, places: number): string {
		return this.#format({ minimumFractionDigits: places, maximumFractionDigits: places }).format(value);
	}

	/** Basis points; a spread of a tick on a dear asset is tiny and still not zero. */
	basisPoints(value: number): string {
		return this.measure(value, Math.abs(value) < 0.1 ? 4 : 2);
	}

	/** A measured figure with its sign. */
	signedMeasure(value: number, places: number): string {
		return this.#format({
			minimumFractionDigits: places,
			maximumFractionDigits: places,
			signDisplay: 'exceptZero'
		}).format(value);
	}

	/** Microseconds, in ms from one thousand on. */
	latency(microseconds: number): string {
		return microseconds < 1000
			? `${this.measure(microseconds, 0)} µs`
			: `${this.measure(microseconds / 1000, microseconds < 10_000 ? 2 : 1)} ms`;
	}
}
