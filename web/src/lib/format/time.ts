/** Time formats of one language, in the reader's time zone; UTC is given for the hover text. */
export class Times {
	readonly #clock: Intl.DateTimeFormat;
	readonly #minute: Intl.DateTimeFormat;
	readonly #day: Intl.DateTimeFormat;
	readonly #full: Intl.DateTimeFormat;

	constructor(locale: string, timeZone?: string) {
		const zone = timeZone === undefined ? {} : { timeZone };
		const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...zone } as const;
		this.#clock = new Intl.DateTimeFormat(locale, { ...clock, second: '2-digit' });
		this.#minute = new Intl.DateTimeFormat(locale, clock);
		this.#day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', ...zone });
		this.#full = new Intl.DateTimeFormat(locale, {
			...clock,
			second: '2-digit',
			month: 'short',
			day: 'numeric',
			year: 'numeric'
		});
	}

	/** 14:03:27 */
	clock(ms: number): string {
		return this.#clock.format(ms);
	}

	/** 14:03 */
	minute(ms: number): string {
		return this.#minute.format(ms);
	}

	/** 21 Nov */
	day(ms: number): string {
		return this.#day.format(ms);
	}

	/** Date and time. */
	full(ms: number): string {
		return this.#full.format(ms);
	}

	/** 2026-11-21T14:03:27.123Z */
	utc(ms: number): string {
		return new Date(ms).toISOString();
	}
}
