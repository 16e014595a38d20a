import { createContext } from 'svelte';

import { api, ApiError } from '../api/client';
import { openStream, Stream, type StreamMessage, type Topic } from '../api/stream';
import { judge } from './freshness';
import { absorb, NOTHING, reduce, type DeskState, type Part } from './state';

/** The topic that keeps a part current. */
const TOPIC: Record<Part, Topic> = {
	status: 'status',
	market: 'market',
	quotes: 'quotes',
	orders: 'orders',
	pool: 'pool',
	performance: 'performance',
	fills: 'fill',
	events: 'event',
	equity: 'equity',
	candles: 'candle'
};
/** Parts that are one value: what the stream said while a request was under way is newer than its answer. */
const VALUES: ReadonlySet<Part> = new Set<Part>([
	'status',
	'market',
	'quotes',
	'orders',
	'pool',
	'performance'
]);
const PARTS = Object.keys(TOPIC) as Part[];
const BATCH_MS = 100;

/** The page's live picture of the instance: snapshots over HTTP, then the stream. */
export class Desk {
	#state = $state.raw<DeskState>(NOTHING);
	#problems = $state.raw<Partial<Record<Part, ApiError>>>({});
	#connected = $state(false);
	#everConnected = $state(false);
	#now = $state(Date.now());
	#lastMessage = $state.raw(Date.now());
	#bookChanged = $state.raw<number | null>(null);
	#heard = new Map<Topic, number>();
	#queue: StreamMessage[] = [];
	#flush: ReturnType<typeof setTimeout> | undefined;
	#stream: Stream | null = null;

	readonly status = $derived(this.#state.status);
	readonly market = $derived(this.#state.market);
	readonly quotes = $derived(this.#state.quotes);
	readonly orders = $derived(this.#state.orders);
	readonly pool = $derived(this.#state.pool);
	readonly performance = $derived(this.#state.performance);
	readonly fills = $derived(this.#state.fills);
	readonly events = $derived(this.#state.events);
	readonly equity = $derived(this.#state.equity);
	readonly candles = $derived(this.#state.candles);

	/** Why a part could not be fetched, while nothing of it is known. */
	readonly problems = $derived(this.#problems);
	readonly freshness = $derived(
		judge({
			now: this.#now,
			connected: this.#connected,
			everConnected: this.#everConnected,
			lastMessage: this.#lastMessage,
			bookChanged: this.#bookChanged,
			bookStale: this.#state.market?.book.stale ?? false
		})
	);
	/** Prices on the page may no longer hold. */
	readonly marketStale = $derived(
		this.freshness.kind === 'delayed' || this.freshness.kind === 'reconnecting'
	);
	/** Nothing on the page is being updated. */
	readonly cut = $derived(this.freshness.kind === 'reconnecting');

	/** Fetch, subscribe and keep time; the returned function ends it all. */
	run(): () => void {
		const tick = setInterval(() => (this.#now = Date.now()), 1000);
		void this.refetch();
		this.#stream = new Stream(
			{
				message: (message) => this.#enqueue(message),
				connected: (connected) => this.#turn(connected),
				gap: () => void this.refetch()
			},
			() => openStream()
		);
		return () => {
			clearInterval(tick);
			clearTimeout(this.#flush);
			this.#stream?.close();
		};
	}

	/** Fetch the named parts again (all by default). */
	async refetch(parts: readonly Part[] = PARTS): Promise<void> {
		await Promise.all(parts.map((part) => this.#fetch(part)));
	}

	/** Resume trading. Throws `ApiError`. */
	async start(): Promise<void> {
		this.#state = { ...this.#state, status: await api.start() };
	}

	/** Pause trading: the instance cancels every quote. Throws `ApiError`. */
	async stop(): Promise<void> {
		this.#state = { ...this.#state, status: await api.stop() };
	}

	async #fetch(part: Part): Promise<void> {
		const topic = TOPIC[part];
		const before = this.#heard.get(topic) ?? 0;
		try {
			const answer = await api[part]();
			const overtaken = VALUES.has(part) && (this.#heard.get(topic) ?? 0) !== before;
			if (!overtaken) this.#state = absorb(this.#state, part, answer);
			if (part === 'status') this.#noteBook();
			const { [part]: _, ...others } = this.#problems;
			this.#problems = others;
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			this.#problems = { ...this.#problems, [part]: error };
		}
	}

	#turn(connected: boolean): void {
		// What was missed while away is fetched; the first connection follows the first fetch anyway.
		if (connected && this.#everConnected) void this.refetch();
		this.#connected = connected;
		if (connected) {
			this.#everConnected = true;
			this.#lastMessage = this.#now = Date.now();
		}
	}

	/** Messages are applied in batches: a screen that changes more often than this is only restless. */
	#enqueue(message: StreamMessage): void {
		this.#heard.set(message.topic, (this.#heard.get(message.topic) ?? 0) + 1);
		this.#queue.push(message);
		this.#flush ??= setTimeout(() => {
			this.#flush = undefined;
			this.#apply(this.#queue.splice(0));
		}, BATCH_MS);
	}

	#apply(messages: StreamMessage[]): void {
		const before = this.#state;
		const after = messages.reduce(reduce, before);
		this.#now = this.#lastMessage = Date.now();
		this.#state = after;
		if (after.status !== before.status) this.#noteBook();
		const book = after.market?.book;
		if (book && !book.stale && book.at_ms !== before.market?.book.at_ms) this.#bookChanged = this.#now;
	}

	#noteBook(): void {
		const age = this.#state.status?.book_age_ms ?? null;
		if (age !== null) this.#bookChanged = Math.max(this.#bookChanged ?? 0, Date.now() - age);
	}
}

export const [getDesk, setDesk] = createContext<Desk>();
