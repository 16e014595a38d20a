import type {
	Candle,
	EquityPoint,
	EventView,
	FillView,
	InstanceStatus,
	MarketView,
	OrderView,
	PerformanceView,
	PoolView,
	QuotesView
} from '../api/generated';
import type { StreamMessage } from '../api/stream';

/** Everything the page knows of the instance; `null` where nothing has been heard yet. */
export interface DeskState {
	readonly status: InstanceStatus | null;
	readonly market: MarketView | null;
	readonly quotes: QuotesView | null;
	/** Open orders. */
	readonly orders: OrderView[] | null;
	readonly pool: PoolView | null;
	readonly performance: PerformanceView | null;
	/** Newest first. */
	readonly fills: FillView[] | null;
	/** Newest first. */
	readonly events: EventView[] | null;
	/** Oldest first. */
	readonly equity: EquityPoint[] | null;
	/** Oldest first, 5 s each. */
	readonly candles: Candle[] | null;
}

export type Part = keyof DeskState;

export const NOTHING: DeskState = {
	status: null,
	market: null,
	quotes: null,
	orders: null,
	pool: null,
	performance: null,
	fills: null,
	events: null,
	equity: null,
	candles: null
};

/** How many rows the page keeps of what never ends. */
export const KEEP = { fills: 500, events: 500, equity: 4000, candles: 1440 } as const;

const byTime = (left: { at_ms: number }, right: { at_ms: number }): number => right.at_ms - left.at_ms;
const fillKey = (fill: FillView): string => `${fill.symbol} ${fill.trade_id}`;

/** Rows of both, each key once (`fresh` wins), in the given order. */
function union<Row>(
	fresh: readonly Row[],
	known: readonly Row[] | null,
	key: (row: Row) => string | number,
	order: (left: Row, right: Row) => number
): Row[] {
	const rows = new Map<string | number, Row>();
	for (const row of known ?? []) rows.set(key(row), row);
	for (const row of fresh) rows.set(key(row), row);
	return [...rows.values()].sort(order);
}

/** Add fills, newest first; a trade known already is not counted twice. */
export function mergeFills(fresh: FillView[], known: FillView[] | null): FillView[] {
	return union(fresh, known, fillKey, byTime).slice(0, KEEP.fills);
}

/** Add rows of the event log, newest first. */
export function mergeEvents(fresh: EventView[], known: EventView[] | null): EventView[] {
	return union(
		fresh,
		known,
		(row) => row.seq,
		(left, right) => right.seq - left.seq
	).slice(0, KEEP.events);
}

/** Add points of the equity curve, oldest first. */
export function mergeEquity(fresh: EquityPoint[], known: EquityPoint[] | null): EquityPoint[] {
	return union(
		fresh,
		known,
		(row) => row.at_ms,
		(left, right) => left.at_ms - right.at_ms
	).slice(-KEEP.equity);
}

/** Add candles, oldest first; a candle that is still growing replaces its earlier form. */
export function mergeCandles(fresh: Candle[], known: Candle[] | null): Candle[] {
	return union(
		fresh,
		known,
		(row) => row.start_ms,
		(left, right) => left.start_ms - right.start_ms
	).slice(-KEEP.candles);
}

/** The state after one message of the stream. */
export function reduce(state: DeskState, message: StreamMessage): DeskState {
	switch (message.topic) {
		case 'status':
			return { ...state, status: message.data };
		case 'market':
			return { ...state, market: message.data };
		case 'quotes':
			return { ...state, quotes: message.data };
		case 'orders':
			return { ...state, orders: message.data };
		case 'pool':
			return { ...state, pool: message.data };
		case 'performance':
			return { ...state, performance: message.data };
		case 'fill':
			return { ...state, fills: mergeFills([message.data], state.fills) };
		case 'event':
			return { ...state, events: mergeEvents([message.data], state.events) };
		case 'equity':
			return { ...state, equity: mergeEquity([message.data], state.equity) };
		case 'candle':
			return { ...state, candles: mergeCandles([message.data], state.candles) };
		default:
			// A newer instance may send topics this page does not know.
			return state;
	}
}

/** The state after an answer to a request: rows are merged, values replaced. */
export function absorb<P extends Part>(
	state: DeskState,
	part: P,
	answer: NonNullable<DeskState[P]>
): DeskState {
	switch (part) {
		case 'fills':
			return { ...state, fills: mergeFills(answer as FillView[], state.fills) };
		case 'events':
			return { ...state, events: mergeEvents(answer as EventView[], state.events) };
		case 'equity':
			return { ...state, equity: mergeEquity(answer as EquityPoint[], state.equity) };
		case 'candles':
			return { ...state, candles: mergeCandles(answer as Candle[], state.candles) };
		default:
			return { ...state, [part]: answer };
	}
}
