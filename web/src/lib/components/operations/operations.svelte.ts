import { createContext } from 'svelte';

import {
	ApiError,
	get,
	post,
	query,
	type CommandView,
	type DifferenceView,
	type DryRunView,
	type OperationsView,
	type ResumedView
} from '#lib/api/client.ts';
import { keepFresh, Loaded } from '#lib/api/loaded.svelte.ts';
import { openStream, Stream } from '#lib/api/stream.ts';
import { heard, newKey, noted, type Action, type Beat } from './state.ts';

const BASE = '/admin/operations';
const POLL_MS = 5_000;
const ANSWER_MS = 600;
const ANSWERS_AWAITED = 50;

/** The owner's live view of trading, and the owner's words to it. */
export class Operations {
	readonly view = new Loaded(() => get<OperationsView>(BASE));
	/** What was asked from this page, the newest first. */
	commands = $state.raw<readonly CommandView[]>([]);
	/** The looks at each Angel since the page was opened. */
	beats = $state.raw<ReadonlyMap<string, readonly Beat[]>>(new Map());
	#closed = false;

	/** Follow until the returned function is called. */
	run(): () => void {
		this.#closed = false;
		const stream = new Stream(
			{
				message: (message) => {
					if (message.topic === 'operations') this.#take(message.data);
				},
				connected: () => undefined,
				gap: () => void this.view.load()
			},
			() => openStream(['operations'])
		);
		// The stream may be cut where requests are not, by a proxy for one.
		const end = keepFresh(POLL_MS, this.view);
		return () => {
			this.#closed = true;
			stream.close();
			end();
		};
	}

	/** Ask something of a run. All that ask throw `ApiError` where it was not passed on. */
	async ofRun(run: string, action: Action, reason = ''): Promise<void> {
		await this.ask(`/runs/${encodeURIComponent(run)}/${action}`, reason);
	}

	async ofVenue(venue: string, action: 'halt' | 'rearm', reason = ''): Promise<void> {
		await this.ask(`/venues/${encodeURIComponent(venue)}/${action}`, reason);
	}

	async ask(path: string, reason = '', cause = ''): Promise<void> {
		const command = await post<CommandView>(`${BASE}${path}`, { key: newKey(), reason, cause });
		this.#note(command);
		void this.view.load();
		if (command.state === 'asked') void this.#follow(command.id);
	}

	async drill(): Promise<DryRunView> {
		return post<DryRunView>(`${BASE}/angel/drill`, { key: newKey() });
	}

	async resume(): Promise<void> {
		await post<ResumedView>(`${BASE}/recovery/resume`, { key: newKey() });
		await this.view.load();
	}

	differences(open: boolean): Promise<DifferenceView[]> {
		return get<DifferenceView[]>(`${BASE}/differences${query({ open: String(open), limit: 200 })}`);
	}

	dismiss(): void {
		this.commands = this.commands.filter(({ state }) => state === 'asked');
	}

	#take(view: OperationsView): void {
		this.view.put(view);
		this.beats = heard(this.beats, view.angel.watchers, view.at_ms);
	}

	#note(command: CommandView): void {
		this.commands = noted(this.commands, command);
	}

	/** Whoever holds the run answers when it is done; what takes longer is in the list of runs. */
	async #follow(id: string): Promise<void> {
		for (let turn = 0; turn < ANSWERS_AWAITED && !this.#closed; turn += 1) {
			await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
			try {
				const command = await get<CommandView>(`${BASE}/commands/${id}`);
				this.#note(command);
				if (command.state !== 'asked') break;
			} catch (error) {
				if (!(error instanceof ApiError)) throw error;
				if (!error.retryable) break;
			}
		}
		void this.view.load();
	}
}

export const [getOperations, setOperations] = createContext<Operations>();
