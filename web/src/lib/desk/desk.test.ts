import { describe, expect, it } from 'vitest';

import type { BookLevel, Candle, EventView, FillView, OrderView } from '../api/generated';
import type { StreamMessage } from '../api/stream';
import { markFills, widen } from './candles';
import { DELAYED_MS, judge, type Signs } from './freshness';
import { buildLadder } from './ladder';
import { absorb, KEEP, NOTHING, reduce } from './state';

const fill = (trade_id: string, at_ms: number, side: 'buy' | 'sell' = 'buy'): FillView => ({
	trade_id,
	client_order_id: 'o',
	symbol: 'BTC/USDT',
	side,
	price: '100',
	size: '1',
	quote_size: '100',
	fee: '0.1',
	fee_asset: 'USDT',
	maker: true,
	spread_captured_bps: 1,
	at_ms
});
const event = (seq: number): EventView => ({ seq, at_ms: seq, kind: 'filled', summary: 's', hash: 'h' });
const candle = (start_ms: number, open: string, high: string, low: string, close: string): Candle => ({
	start_ms,
	open,
	high,
	low,
	close,
	volume: '0.1'
});
const order = (side: 'buy' | 'sell', price: string, size: string, filled = '0'): OrderView => ({
	client_order_id: `${side}${price}`,
	venue_order_id: null,
	symbol: 'BTC/USDT',
	slot: 's',
	side,
	price,
	size,
	filled,
	state: 'acked',
	created_ms: 0,
	updated_ms: 0
});
const level = (price: string, size: string, own = '0'): BookLevel => ({ price, size, own });

describe('the state', () => {
	it('counts a fill once, however often it is told, newest first', () => {
		let state = reduce(NOTHING, { seq: 1, topic: 'fill', at_ms: 0, data: fill('1', 10) });
		state = reduce(state, { seq: 2, topic: 'fill', at_ms: 0, data: fill('2', 20) });
		state = absorb(state, 'fills', [fill('2', 20), fill('1', 10)]);
		expect(state.fills?.map(({ trade_id }) => trade_id)).toEqual(['2', '1']);
	});

	it('merges a snapshot of events with what the stream told meanwhile', () => {
		const state = absorb(reduce(NOTHING, { seq: 1, topic: 'event', at_ms: 0, data: event(3) }), 'events', [
			event(1),
			event(2),
			event(3)
		]);
		expect(state.events?.map(({ seq }) => seq)).toEqual([3, 2, 1]);
	});

	it('lets a candle grow in place', () => {
		let state = absorb(NOTHING, 'candles', [candle(0, '1', '2', '1', '2'), candle(5000, '2', '2', '2', '2')]);
		state = reduce(state, { seq: 1, topic: 'candle', at_ms: 0, data: candle(5000, '2', '3', '2', '3') });
		expect(state.candles?.map(({ close }) => close)).toEqual(['2', '3']);
	});

	it('keeps the newest rows only', () => {
		const many = Array.from({ length: KEEP.events + 10 }, (_, index) => event(index + 1));
		const state = absorb(NOTHING, 'events', many);
		expect(state.events).toHaveLength(KEEP.events);
		expect(state.events?.[0]?.seq).toBe(KEEP.events + 10);
	});

	it('replaces a value and leaves every other part the same object', () => {
		const before = absorb(NOTHING, 'fills', [fill('1', 1)]);
		const after = reduce(before, { seq: 1, topic: 'orders', at_ms: 0, data: [] });
		expect(after.orders).toEqual([]);
		expect(after.fills).toBe(before.fills);
	});

	it('ignores a topic it does not know', () => {
		const strange = { seq: 1, topic: 'weather', at_ms: 0, data: {} } as unknown as StreamMessage;
		expect(reduce(NOTHING, strange)).toBe(NOTHING);
	});
});

describe('freshness', () => {
	const fresh: Signs = {
		now: 100_000,
		connected: true,
		everConnected: true,
		lastMessage: 99_900,
		bookChanged: 99_800,
		bookStale: false
	};

	it('is live while messages and book are young', () => {
		expect(judge(fresh)).toEqual({ kind: 'live' });
		expect(judge({ ...fresh, bookChanged: null })).toEqual({ kind: 'live' });
	});

	it('is delayed by the older of the two', () => {
		expect(judge({ ...fresh, lastMessage: 100_000 - DELAYED_MS })).toEqual({ kind: 'delayed', seconds: 3 });
		expect(judge({ ...fresh, bookChanged: 95_400 })).toEqual({ kind: 'delayed', seconds: 4 });
		expect(judge({ ...fresh, bookStale: true }).kind).toBe('delayed');
	});

	it('tells a first connection from a lost one', () => {
		expect(judge({ ...fresh, connected: false }).kind).toBe('reconnecting');
		expect(judge({ ...fresh, connected: false, everConnected: false }).kind).toBe('connecting');
	});
});

describe('the ladder', () => {
	const book = {
		bids: [level('99', '1', '0.5'), level('98', '3')],
		asks: [level('101', '2')],
		at_ms: 0,
		stale: false
	};

	it('scales depth to the deeper side', () => {
		const ladder = buildLadder(book, []);
		expect(ladder.bids.map(({ depth }) => depth)).toEqual([0.25, 1]);
		expect(ladder.asks.map(({ depth }) => depth)).toEqual([0.5]);
	});

	it('adds our deeper orders behind the visible levels, best first, with what is left of them', () => {
		const orders = [
			order('buy', '90', '1', '0.4'),
			order('buy', '95.5', '0.1'),
			order('buy', '95.5', '0.2'),
			order('sell', '100.5', '1'),
			order('sell', '120', '1', '1')
		];
		const ladder = buildLadder(book, orders);
		expect(ladder.bids.slice(2).map(({ price, own, size }) => [price, own, size])).toEqual([
			['95.5', '0.3', null],
			['90', '0.6', null]
		]);
		expect(ladder.asks).toHaveLength(1);
	});

	it('does not repeat an order that stands in the visible book', () => {
		expect(buildLadder(book, [order('buy', '99', '0.5')]).bids).toHaveLength(2);
	});

	it('shows our orders even where the book is empty', () => {
		const ladder = buildLadder({ ...book, bids: [], asks: [] }, [order('sell', '101', '1')]);
		expect(ladder.asks.map(({ price }) => price)).toEqual(['101']);
	});
});

describe('candles', () => {
	it('join into longer ones exactly', () => {
		const joined = widen(
			[
				candle(0, '1', '3', '1', '2'),
				candle(5000, '2', '10', '0.5', '9'),
				candle(15_000, '9', '9', '9', '9')
			],
			15
		);
		expect(joined).toEqual([
			{ start_ms: 0, open: '1', high: '10', low: '0.5', close: '9', volume: '0.2' },
			{ start_ms: 15_000, open: '9', high: '9', low: '9', close: '9', volume: '0.1' }
		]);
	});

	it('carry our fills by side', () => {
		const marks = markFills([fill('3', 7000), fill('2', 6000, 'sell'), fill('1', 5000)], 5);
		expect(marks).toEqual([
			{ start_ms: 5000, side: 'buy', count: 2 },
			{ start_ms: 5000, side: 'sell', count: 1 }
		]);
	});
});
