import type { CampaignBoard, CampaignCard } from '../api/client';

/** How campaigns stand together on the board, in the order in which a reader cares. */
export const GROUPS = {
	running: ['active'],
	coming: ['joined', 'joining', 'unknown'],
	paying: ['ended'],
	open: ['joinable', 'discovered'],
	over: ['paid_out', 'cancelled', 'refused']
} as const;

export type GroupName = keyof typeof GROUPS;

/** The board's campaigns by group; groups without any are left out. A stage that is new stands with those found. */
export function grouped(board: CampaignBoard): { name: GroupName; cards: CampaignCard[] }[] {
	const known = new Set<string>(Object.values(GROUPS).flat());
	const names = Object.keys(GROUPS) as GroupName[];
	return names
		.map((name) => ({
			name,
			cards: board.columns
				.filter(
					({ stage }) =>
						(GROUPS[name] as readonly string[]).includes(stage) || (name === 'open' && !known.has(stage))
				)
				.flatMap(({ cards }) => cards)
				.toSorted((one, other) => one.end_ms - other.end_ms)
		}))
		.filter(({ cards }) => cards.length > 0);
}

/** What volumes and targets are counted in: the second of a pair, or the symbol whose balance counts. */
export function countedIn(market: string): string {
	return market.split('/').at(-1) ?? market;
}

/** For the width of a bar only: how much of the goal is made, 0 to 1; null where one of them is not known. */
export function made(card: CampaignCard): number | null {
	if (card.goal === null || card.volume === null || Number(card.goal) <= 0) return null;
	return Math.min(1, Math.max(0, Number(card.volume) / Number(card.goal)));
}

/** Where a campaign is in time: `begins` and `left` count seconds. */
export function timeOf(
	card: CampaignCard,
	now_ms: number
): { kind: 'begins' | 'left'; seconds: number } | { kind: 'ended' } {
	if (now_ms < card.start_ms) return { kind: 'begins', seconds: (card.start_ms - now_ms) / 1000 };
	if (now_ms < card.end_ms) return { kind: 'left', seconds: (card.end_ms - now_ms) / 1000 };
	return { kind: 'ended' };
}
