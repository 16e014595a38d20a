import type {
	Candle,
	EquityPoint,
	EventView,
	FillView,
	InstanceStatus,
	MarketView,
	OperationsView,
	OrderView,
	PerformanceView,
	PoolView,
	QuotesView
} from './generated';

/** What each topic carries. */
export interface Topics {
	status: InstanceStatus;
	market: MarketView;
	quotes: QuotesView;
	orders: OrderView[];
	fill: FillView;
	event: EventView;
	pool: PoolView;
	equity: EquityPoint;
	performance: PerformanceView;
	candle: Candle;
	/** For the owner alone. */
	operations: OperationsView;
}

export type Topic = keyof Topics;

/** One message of `/api/v1/stream`. */
export type StreamMessage = {
	[T in Topic]: { seq: number; topic: T; at_ms: number; data: Topics[T] };
}[Topic];

const TOPICS: Topic[] = [
	'status',
	'market',
	'quotes',
	'orders',
	'fill',
	'event',
	'pool',
	'equity',
	'performance',
	'candle'
];

/** How the stream tells its owner what happened. */
export interface StreamListener {
	message(message: StreamMessage): void;
	/** A connection opened or closed. After it opens, rows missed meanwhile have to be fetched. */
	connected(connected: boolean): void;
	/** A sequence number is missing on this connection: snapshots have to be fetched again. */
	gap(): void;
}

/** The parts of a WebSocket that are used. */
export type Socket = Pick<WebSocket, 'close' | 'onopen' | 'onmessage' | 'onclose'>;

/** A silent connection counts as dead after this long; the instance sends its status every second or so. */
export const SILENCE_MS = 15_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;

/** Keeps one WebSocket to the instance: reconnects with growing, jittered pauses and checks the sequence. */
export class Stream {
	#socket: Socket | null = null;
	#expected = 1;
	#failures = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;
	#watchdog: ReturnType<typeof setTimeout> | undefined;
	#closed = false;

	constructor(
		private readonly listener: StreamListener,
		private readonly open: () => Socket,
		private readonly random: () => number = Math.random
	) {
		this.#connect();
	}

	/** End for good. */
	close(): void {
		this.#closed = true;
		clearTimeout(this.#retry);
		this.#drop();
	}

	#connect(): void {
		const socket = this.open();
		this.#socket = socket;
		this.#expected = 1;
		this.#listenForLife();
		socket.onopen = () => {
			this.#failures = 0;
			this.listener.connected(true);
		};
		socket.onmessage = (event: MessageEvent<string>) => {
			this.#listenForLife();
			const message = JSON.parse(event.data) as StreamMessage;
			const gap = message.seq !== this.#expected;
			this.#expected = message.seq + 1;
			if (gap) this.listener.gap();
			this.listener.message(message);
		};
		socket.onclose = () => this.#lost();
	}

	#listenForLife(): void {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(() => this.#lost(), SILENCE_MS);
	}

	#lost(): void {
		this.#drop();
		if (this.#closed) return;
		this.listener.connected(false);
		const pause = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS);
		this.#failures += 1;
		this.#retry = setTimeout(() => this.#connect(), pause * (0.75 + this.random() / 2));
	}

	#drop(): void {
		clearTimeout(this.#watchdog);
		const socket = this.#socket;
		if (!socket) return;
		this.#socket = null;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close();
	}
}

/** The stream of the instance that served this page; what everybody may hear, or the topics named. */
export function openStream(topics: readonly Topic[] = TOPICS): WebSocket {
	const url = new URL('/api/v1/stream', window.location.href);
	url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
	url.searchParams.set('topics', topics.join(','));
	return new WebSocket(url);
}
