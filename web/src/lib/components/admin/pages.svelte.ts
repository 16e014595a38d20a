import { ApiError } from '#lib/api/client.ts';

/** A list that is fetched in pages, newest first. */
export class Pages<Row> {
	/** Null until the first page is there. */
	rows = $state.raw<Row[] | null>(null);
	problem = $state.raw<ApiError | undefined>(undefined);
	/** There may be older rows. */
	more = $state(false);
	busy = $state(false);
	readonly #size: number;
	readonly #ask: (oldest: Row | null, limit: number) => Promise<Row[]>;
	readonly #key: (row: Row) => string | number;
	#turn = 0;

	/** `ask` gives rows before the oldest known one, or the newest ones for null; overlaps are dropped by key. */
	constructor(
		size: number,
		ask: (oldest: Row | null, limit: number) => Promise<Row[]>,
		key: (row: Row) => string | number
	) {
		this.#size = size;
		this.#ask = ask;
		this.#key = key;
	}

	get stale(): boolean {
		return this.problem !== undefined && this.rows !== null;
	}

	/** The newest page; what was fetched of older ones stays behind it. */
	readonly load = (): Promise<void> =>
		this.#fetch(null, (page) => {
			const known = this.rows ?? [];
			const last = page.at(-1);
			const at = last === undefined ? -1 : known.findIndex((row) => this.#key(row) === this.#key(last));
			const kept = at < 0 || page.length < this.#size ? [] : known.slice(at + 1);
			if (kept.length === 0) this.more = page.length === this.#size;
			return [...page, ...kept];
		});

	/** Forget everything and ask for the newest page: what was asked for has changed. */
	readonly again = (): Promise<void> => {
		this.rows = null;
		return this.load();
	};

	/** The page after the last row. */
	readonly older = (): Promise<void> =>
		this.#fetch(this.rows?.at(-1) ?? null, (page) => {
			const known = this.rows ?? [];
			const keys = new Set(known.map(this.#key));
			const fresh = page.filter((row) => !keys.has(this.#key(row)));
			this.more = page.length === this.#size && fresh.length > 0;
			return [...known, ...fresh];
		});

	async #fetch(oldest: Row | null, join: (page: Row[]) => Row[]): Promise<void> {
		const turn = ++this.#turn;
		this.busy = true;
		try {
			const page = await this.#ask(oldest, this.#size);
			if (turn === this.#turn) [this.rows, this.problem] = [join(page), undefined];
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			if (turn === this.#turn) this.problem = error;
		} finally {
			if (turn === this.#turn) this.busy = false;
		}
	}
}
