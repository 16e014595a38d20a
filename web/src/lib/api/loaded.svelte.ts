import { ApiError } from './client';

/** Something that the instance is asked for: its newest value, or why there is none. */
export class Loaded<Value> {
	/** Null until the first answer. */
	value = $state.raw<Value | null>(null);
	/** Why the newest question had no answer. */
	problem = $state.raw<ApiError | undefined>(undefined);
	/** The value is older than the newest question: that one failed. */
	readonly stale = $derived(this.problem !== undefined && this.value !== null);
	readonly #ask: () => Promise<Value>;
	#turn = 0;

	constructor(ask: () => Promise<Value>) {
		this.#ask = ask;
	}

	/** Ask; a later question's answer is never overwritten by an earlier one's. */
	readonly load = async (): Promise<void> => {
		const turn = ++this.#turn;
		try {
			const value = await this.#ask();
			if (turn === this.#turn) [this.value, this.problem] = [value, undefined];
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			if (turn === this.#turn) this.problem = error;
		}
	};

	/** Show an answer that came another way; a question under way no longer matters. */
	put(value: Value): void {
		this.#turn += 1;
		[this.value, this.problem] = [value, undefined];
	}
}

/** Ask now, and again while the page is looked at; the returned function ends it. */
export function keepFresh(every_ms: number, ...parts: { load: () => Promise<void> }[]): () => void {
	const ask = (): void => {
		if (document.visibilityState === 'visible') for (const part of parts) void part.load();
	};
	for (const part of parts) void part.load();
	const timer = setInterval(ask, every_ms);
	document.addEventListener('visibilitychange', ask);
	return () => {
		clearInterval(timer);
		document.removeEventListener('visibilitychange', ask);
	};
}
