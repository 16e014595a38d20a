import type { BookLevel, BookView, OrderView } from '../api/generated';
import { add, compare, sign, subtract } from '../format/decimal';

/** One row of the ladder. */
export interface LadderRow {
	price: string;
	/** Null for a quote of ours beyond the visible book: the size of its level is not known. */
	size: string | null;
	own: string;
	/** Sum of the sizes from the best price to here, 0 to 1 of the deeper side; for the bar alone. */
	depth: number;
	beyond: boolean;
}

export interface Ladder {
	/** Best first. */
	bids: LadderRow[];
	/** Best first. */
	asks: LadderRow[];
}

type Side = 'buy' | 'sell';

/** What still rests at each price of one side. */
function resting(orders: readonly OrderView[], side: Side): Map<string, string> {
	const sizes = new Map<string, string>();
	for (const order of orders) {
		if (order.side !== side) continue;
		const rest = subtract(order.size, order.filled);
		if (sign(rest) <= 0) continue;
		sizes.set(order.price, add(sizes.get(order.price) ?? '0', rest));
	}
	return sizes;
}

function visible(levels: readonly BookLevel[]): { rows: LadderRow[]; total: number } {
	let total = 0;
	const rows = levels.map(({ price, size, own }) => {
		total += Number(size);
		return { price, size, own, depth: total, beyond: false };
	});
	return { rows, total };
}

function beyond(levels: readonly BookLevel[], orders: readonly OrderView[], side: Side): LadderRow[] {
	const last = levels.at(-1);
	const outward = side === 'buy' ? -1 : 1;
	return [...resting(orders, side)]
		.filter(([price]) => last === undefined || compare(price, last.price) === outward)
		.map(([price, own]) => ({ price, size: null, own, depth: 0, beyond: true }))
		.sort((left, right) => outward * compare(left.price, right.price));
}

/** The visible book, and behind it our own open orders that rest too deep to be in it. */
export function buildLadder(book: BookView, orders: readonly OrderView[]): Ladder {
	const bids = visible(book.bids);
	const asks = visible(book.asks);
	const deepest = Math.max(bids.total, asks.total) || 1;
	const scale = (row: LadderRow): LadderRow => ({ ...row, depth: row.depth / deepest });
	return {
		bids: [...bids.rows.map(scale), ...beyond(book.bids, orders, 'buy')],
		asks: [...asks.rows.map(scale), ...beyond(book.asks, orders, 'sell')]
	};
}
