import type { CommandView, OperationsView, RestrictionView, RunView, WatcherView } from '#lib/api/client.ts';

export type Tone = 'plain' | 'good' | 'bad' | 'warn' | 'own';

/** What can be asked of a run. */
export const ACTIONS = ['pause', 'resume', 'cancel-all', 'flatten', 'halt', 'rearm'] as const;

export type Action = (typeof ACTIONS)[number];

/** Those that are held to confirm. */
export const GRAVE: ReadonlySet<Action> = new Set<Action>(['cancel-all', 'flatten', 'halt']);

const RISK_TONES: Record<string, Tone> = { active: 'good', reduce: 'warn', cancel_only: 'warn', halt: 'bad' };
const RUN_TONES: Record<string, Tone> = {
	running: 'good',
	paused: 'warn',
	starting: 'own',
	stopping: 'own',
	leaving: 'own',
	held: 'own',
	failed: 'bad',
	unheld: 'bad'
};

export const riskTone = (risk: string): Tone => RISK_TONES[risk] ?? 'plain';
export const runTone = (state: string): Tone => RUN_TONES[state] ?? 'plain';

/** What makes sense to ask of a run as it is. */
export function offered(run: RunView): Action[] {
	const held = run.why.some(({ scope }) => scope === `run:${run.id}`);
	return ACTIONS.filter((action) => {
		if (action === 'pause') return run.desired === 'running' && run.state !== 'paused';
		if (action === 'resume')
			return run.desired === 'paused' || run.state === 'paused' || run.state === 'unheld';
		if (action === 'rearm') return held;
		return true;
	});
}

/** One card of the health strip. */
export interface Part {
	id: string;
	tone: Tone;
	/** The sentence's key and values, or the instance's own words. */
	text: { key: string; values: Record<string, string | number> } | string;
}

const told = (key: string, values: Record<string, string | number> = {}): Part['text'] => ({ key, values });

/** How the parts are, in the order in which one looks: engines, exchanges, database, Angel, ledger, and what is not ready. */
export function strip(view: OperationsView, time: (ms: number) => string): Part[] {
	const alive = view.engines.filter((engine) => engine.alive).length;
	const silent = view.venues.filter((venue) => venue.stream_connected !== true && venue.runs > 0);
	const { database, angel } = view;
	const of = (part: string) => view.health.find((one) => one.part === part);
	const ledger = of('ledger');
	const parts: Part[] = [
		{
			id: 'engines',
			tone: alive === 0 ? 'bad' : alive < view.engines.length ? 'warn' : 'good',
			text: told('health.engines.text', { alive, all: view.engines.length })
		},
		{
			id: 'venues',
			tone: silent.length ? 'bad' : 'good',
			text: silent.length
				? told('health.venues.bad', { names: silent.map(({ name }) => name).join(', ') })
				: told('health.venues.good')
		},
		{
			id: 'database',
			tone: database.ready ? 'good' : 'bad',
			text: database.ready
				? told('health.database.good')
				: database.read_ms == null
					? told('health.database.never')
					: told('health.database.bad', { time: time(database.read_ms) })
		},
		{
			id: 'angel',
			tone: angel.present ? 'good' : angel.wanted ? 'bad' : 'plain',
			text: told(
				angel.present ? 'health.angel.good' : angel.wanted ? 'health.angel.bad' : 'health.angel.unwanted'
			)
		},
		{
			id: 'ledger',
			tone: ledger === undefined ? 'plain' : ledger.ready ? 'good' : 'bad',
			text:
				ledger === undefined
					? told('health.unknown')
					: ledger.ready
						? told('health.ledger.good')
						: ledger.reason
		}
	];
	const shown = new Set(['ledger', 'venue', 'control database']);
	for (const part of view.health)
		if (!part.ready && !shown.has(part.part)) parts.push({ id: part.part, tone: 'bad', text: part.reason });
	return parts;
}

/** A restriction's place, as a key and its values. */
export function scopeOf(scope: string): {
	key: 'scope.instance' | 'scope.venue' | 'scope.run';
	name: string;
} {
	const [kind, ...rest] = scope.split(':');
	if (kind === 'venue') return { key: 'scope.venue', name: rest.join(':') };
	if (kind === 'run') return { key: 'scope.run', name: rest.join(':') };
	return { key: 'scope.instance', name: '' };
}

/** Where a restriction is lifted; the path is below `/admin/operations`. */
export function liftPath(restriction: Pick<RestrictionView, 'scope'>): string {
	const { key, name } = scopeOf(restriction.scope);
	if (key === 'scope.venue') return `/venues/${encodeURIComponent(name)}/rearm`;
	if (key === 'scope.run') return `/runs/${encodeURIComponent(name)}/rearm`;
	return '/rearm';
}

/** What flattening came to, where an answer tells it. */
export function flattened(command: CommandView): { before: string; after: string; slices: number } | null {
	if (command.kind !== 'flatten' || command.state !== 'done') return null;
	try {
		const told: unknown = JSON.parse(command.answer);
		if (told === null || typeof told !== 'object') return null;
		const { gap_before, gap_after, slices } = told as Record<string, unknown>;
		return { before: String(gap_before), after: String(gap_after), slices: Number(slices) };
	} catch {
		return null;
	}
}

/** The commands of this page after one was asked or answered: the newest first, each once, five of them. */
export function noted(known: readonly CommandView[], command: CommandView): CommandView[] {
	const others = known.filter(({ id }) => id !== command.id);
	const place = known.findIndex(({ id }) => id === command.id);
	if (place < 0) return [command, ...others].slice(0, 5);
	return [...others.slice(0, place), command, ...others.slice(place)];
}

/** How many beats the strip shows. */
export const BEATS = 60;

/** One look at an Angel. */
export interface Beat {
	at_ms: number;
	age_ms: number;
}

/** The looks at every Angel after one more; an Angel that has gone keeps none. */
export function heard(
	known: ReadonlyMap<string, readonly Beat[]>,
	watchers: readonly WatcherView[],
	at_ms: number
): Map<string, readonly Beat[]> {
	return new Map(
		watchers.map(({ name, age_ms }) => {
			const before = known.get(name) ?? [];
			const again = before.at(-1)?.at_ms === at_ms;
			return [name, again ? before : [...before, { at_ms, age_ms }].slice(-BEATS)];
		})
	);
}

/** A name for a command: the same one is the same command however often it is sent. */
export function newKey(random: () => string = () => crypto.randomUUID()): string {
	return `page-${random()}`;
}
