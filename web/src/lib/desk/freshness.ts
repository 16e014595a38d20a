/** How old what the page shows is. */
export type Freshness =
	{ kind: 'connecting' } | { kind: 'live' } | { kind: 'delayed'; seconds: number } | { kind: 'reconnecting' };

/** What is known of the connection; times by the browser's clock, in ms. */
export interface Signs {
	now: number;
	connected: boolean;
	/** Whether a connection ever stood. */
	everConnected: boolean;
	lastMessage: number;
	/** When the book last changed at the instance; null before the first book. */
	bookChanged: number | null;
	/** The instance itself says that its book is stale. */
	bookStale: boolean;
}

/** Older than this is called delayed. */
export const DELAYED_MS = 3_000;

/** Judge the signs: a lost connection first, then the older of last message and last book. */
export function judge(signs: Signs): Freshness {
	if (!signs.connected) return { kind: signs.everConnected ? 'reconnecting' : 'connecting' };
	const silence = signs.now - signs.lastMessage;
	const bookAge = signs.bookChanged === null ? 0 : signs.now - signs.bookChanged;
	const age = Math.max(silence, bookAge);
	if (age >= DELAYED_MS || signs.bookStale) return { kind: 'delayed', seconds: Math.floor(age / 1000) };
	return { kind: 'live' };
}
