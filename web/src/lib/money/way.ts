import type { RewardTraceView, TraceId, TraceStep } from '../api/client';

/** Where a transaction can be looked up; null where no explorer is configured for its chain. */
export function explorerHref(
	explorers: RewardTraceView['explorers'],
	chain: number | null | undefined,
	tx: string
): string | null {
	const base = chain === null || chain === undefined ? undefined : explorers?.[String(chain)];
	return base && /^https?:\/\//.test(base) ? base + encodeURIComponent(tx) : null;
}

/** A long name with its ends only. */
export function brief(id: string): string {
	return id.length > 28 ? `${id.slice(0, 14)}…${id.slice(-8)}` : id;
}

/** The texts that may say how a step stands, the most exact first; the instance's own words come after them. */
export function sentenceKey(step: TraceStep): string {
	return `way.${step.name}.${step.state.replaceAll(' ', '_')}`;
}

/** How much of a reward the instance says to be on the balance still; null where it says something else. */
export function stillThere(detail: string): string | null {
	return /^(\d+(?:\.\d+)?) of it are still on the balance$/.exec(detail)?.[1] ?? null;
}

/** Names of a step that are worth showing: each once, as one transaction may have made several entries. */
export function names(step: TraceStep): TraceId[] {
	const seen = new Set<string>();
	return (step.ids ?? []).filter(({ kind, id }) => {
		const key = `${kind} ${id}`;
		return seen.has(key) ? false : seen.add(key);
	});
}
