/** Time formats of one language, in the reader's time zone; UTC is given for the hover text. */
export class Times {
	readonly #clock: Intl.DateTimeFormat;
	readonly #minute: Intl.DateTimeFormat;
	readonly #day: Intl.DateTimeFormat;
	readonly #full: Intl.DateTimeFormat;
	readonly #month: Intl.DateTimeFormat;
	readonly #utcDay: Intl.DateTimeFormat;
	readonly #weekday: Intl.DateTimeFormat;

	constructor(locale: string, timeZone?: string) {
		const zone = timeZone === undefined ? {} : { timeZone };
		const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...zone } as const;
		this.#clock = new Intl.DateTimeFormat(locale, { ...clock, second: '2-digit' });
		this.#minute = new Intl.DateTimeFormat(locale, clock);
		this.#day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', ...zone });
		this.#month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' });
		this.#utcDay = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' });
		this.#weekday = new Intl.DateTimeFormat(locale, { weekday: 'short', timeZone: 'UTC' });
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

	/** Month and year of a UTC day. */
	month(ms: number): string {
		return this.#month.format(ms);
	}

	/** 21 November 2026, of a UTC day. */
	utcDay(ms: number): string {
		return this.#utcDay.format(ms);
	}

	/** Names of the days from Monday on, as short as they go. */
	weekdays(): string[] {
		// 5 January 1970 was a Monday.
		return Array.from({ length: 7 }, (_, day) => this.#weekday.format((day + 4) * 86_400_000));
	}

	/** 2026-11-21T14:03:27.123Z */
	utc(ms: number): string {
		return new Date(ms).toISOString();
	}
}
