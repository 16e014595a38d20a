import { ApiError } from '../api/client';

const PAUSE_MS = 250;

/** What something that is still being typed would come to; asked for when the typing pauses. */
export class Preview<Wanted, Answer> {
	answer = $state.raw<Answer | null>(null);
	problem = $state.raw<ApiError | null>(null);
	/** The answer does not belong to what is typed now. */
	pending = $state(false);
	readonly #ask: (wanted: Wanted) => Promise<Answer>;
	#turn = 0;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(ask: (wanted: Wanted) => Promise<Answer>) {
		this.#ask = ask;
	}

	/** What is wanted now; null while it is nothing that could be asked. */
	want(wanted: Wanted | null): void {
		clearTimeout(this.#timer);
		const turn = ++this.#turn;
		this.pending = wanted !== null;
		if (wanted === null) {
			this.answer = this.problem = null;
			return;
		}
		this.#timer = setTimeout(() => void this.#fetch(wanted, turn), PAUSE_MS);
	}

	async #fetch(wanted: Wanted, turn: number): Promise<void> {
		try {
			const answer = await this.#ask(wanted);
			if (turn === this.#turn) [this.answer, this.problem, this.pending] = [answer, null, false];
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			if (turn === this.#turn) [this.answer, this.problem, this.pending] = [null, error, false];
		}
	}
}
