import { describe, expect, it } from 'vitest';

import type { CommandView, OperationsView, RestrictionView, RunView, WatcherView } from '#lib/api/client.ts';
import { BEATS, flattened, heard, liftPath, newKey, noted, offered, scopeOf, strip } from './state';

const restriction = (scope: string): RestrictionView => ({
	scope,
	cause: 'owner',
	state: 'halt',
	detail: '',
	by: 'owner',
	since_ms: 1,
	until_ms: null
});

const run = (known: Partial<RunView> = {}): RunView => ({
	id: 'simulated.BTCUSDT',
	venue: 'simulated',
	account: 'default',
	pair: 'BTC/USDT',
	kind: 'pure_market_making',
	pool: 'main',
	desired: 'running',
	state: 'running',
	reason: '',
	holder: 'n',
	fence: 1,
	risk: 'active',
	why: [],
	open_orders: 4,
	unknown_orders: 0,
	book_age_ms: 1,
	stream_connected: true,
	last_error: '',
	reported_ms: null,
	dead_man: { state: 'armed', refreshes: 1, failures: 0, last_failure: '' },
	...known
});

const command = (known: Partial<CommandView> = {}): CommandView => ({
	id: 'a',
	target: 'instance',
	kind: 'halt',
	state: 'asked',
	answer: '',
	asked_by: 'owner',
	asked_ms: 1,
	ended_ms: null,
	recorded: true,
	...known
});

const view = (known: Partial<OperationsView> = {}): OperationsView => ({
	at_ms: 1,
	trading: 'quoting',
	database: { ready: true, reason: '', read_ms: 1 },
	health: [{ part: 'ledger', ready: true, reason: '' }],
	engines: [
		{ node: 'n', role: 'all', host: 'h', pid: 1, alive: true, age_ms: 1, started_ms: 1, here: true, runs: [] }
	],
	venues: [{ name: 'simulated', risk: 'active', runs: 1, stream_connected: true, book_age_ms: 1 }],
	runs: [],
	restrictions: [],
	differences: [],
	angel: {
		wanted: true,
		present: true,
		watchers: [],
		waiting_for_owner: false,
		interventions: [],
		actions: [],
		dry_run: null
	},
	checklist: [],
	kill_switch: { pulled: false, reason: '', failure: '', local: true },
	keys: [],
	keys_problem: '',
	...known
});

const tones = (shown: OperationsView): Record<string, string> =>
	Object.fromEntries(strip(shown, String).map(({ id, tone }) => [id, tone]));

describe('the health strip', () => {
	it('is good where everything is', () => {
		expect(tones(view())).toEqual({
			engines: 'good',
			venues: 'good',
			database: 'good',
			angel: 'good',
			ledger: 'good'
		});
	});

	it('says what is not, and adds parts that are not ready', () => {
		const bad = view({
			engines: [],
			venues: [{ name: 'okx', risk: 'active', runs: 2, stream_connected: false, book_age_ms: null }],
			database: { ready: false, reason: 'gone', read_ms: 7 },
			angel: { ...view().angel, present: false },
			health: [
				{ part: 'ledger', ready: false, reason: 'it does not verify' },
				{ part: 'lease', ready: false, reason: 'lapsed' }
			]
		});
		const parts = strip(bad, (ms) => `at ${ms}`);
		expect(parts.map(({ id, tone }) => [id, tone])).toEqual([
			['engines', 'bad'],
			['venues', 'bad'],
			['database', 'bad'],
			['angel', 'bad'],
			['ledger', 'bad'],
			['lease', 'bad']
		]);
		expect(parts[1]?.text).toEqual({ key: 'health.venues.bad', values: { names: 'okx' } });
		expect(parts[2]?.text).toEqual({ key: 'health.database.bad', values: { time: 'at 7' } });
		expect(parts[4]?.text).toBe('it does not verify');
	});

	it('misses no Angel on paper, and no stream where nothing runs', () => {
		const paper = view({
			angel: { ...view().angel, present: false, wanted: false },
			venues: [{ name: 'okx', risk: 'active', runs: 0, stream_connected: null, book_age_ms: null }]
		});
		expect(tones(paper)).toMatchObject({ angel: 'plain', venues: 'good' });
	});
});

describe('what is offered for a run', () => {
	it('follows what is wanted of it', () => {
		expect(offered(run())).toEqual(['pause', 'cancel-all', 'flatten', 'halt']);
		expect(offered(run({ desired: 'paused', state: 'paused' }))).toEqual([
			'resume',
			'cancel-all',
			'flatten',
			'halt'
		]);
	});

	it('resumes what flattening has paused', () => {
		expect(offered(run({ state: 'paused' }))).toEqual(['resume', 'cancel-all', 'flatten', 'halt']);
	});

	it('has re-arm for its own restrictions alone', () => {
		expect(offered(run({ why: [restriction('instance')] }))).not.toContain('rearm');
		expect(offered(run({ why: [restriction('run:simulated.BTCUSDT')] }))).toContain('rearm');
	});
});

describe('a restriction', () => {
	it.each([
		['instance', { key: 'scope.instance', name: '' }, '/rearm'],
		['venue:okx', { key: 'scope.venue', name: 'okx' }, '/venues/okx/rearm'],
		['run:a b', { key: 'scope.run', name: 'a b' }, '/runs/a%20b/rearm']
	])('of %s is named and lifted where it is', (scope, named, path) => {
		expect(scopeOf(scope)).toEqual(named);
		expect(liftPath({ scope })).toBe(path);
	});
});

describe('commands', () => {
	it('are kept once each, the newest first, in their places', () => {
		const two = noted(noted([], command()), command({ id: 'b' }));
		expect(two.map(({ id }) => id)).toEqual(['b', 'a']);
		const answered = noted(two, command({ state: 'done' }));
		expect(answered.map(({ id, state }) => [id, state])).toEqual([
			['b', 'asked'],
			['a', 'done']
		]);
	});

	it('are five at most', () => {
		const many = ['a', 'b', 'c', 'd', 'e', 'f'].reduce<readonly CommandView[]>(
			(known, id) => noted(known, command({ id })),
			[]
		);
		expect(many.map(({ id }) => id)).toEqual(['f', 'e', 'd', 'c', 'b']);
	});

	it('tell what flattening came to', () => {
		const answer = '{"flat":true,"gap_before":"-3","gap_after":"0","slices":2,"reason":"x"}';
		expect(flattened(command({ kind: 'flatten', state: 'done', answer }))).toEqual({
			before: '-3',
			after: '0',
			slices: 2
		});
		expect(flattened(command({ kind: 'flatten', state: 'done', answer: 'no report' }))).toBeNull();
		expect(flattened(command({ kind: 'flatten', answer }))).toBeNull();
	});

	it('have names of their own that the API takes', () => {
		expect(newKey()).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
		expect(newKey()).not.toBe(newKey());
	});
});

describe('an Angel’s beats', () => {
	const watcher = (name: string): WatcherView => ({
		name,
		host: 'h',
		pid: 1,
		alive: true,
		age_ms: 30,
		stage: 'watching',
		incident: '',
		fail_safe: 'cancel_all',
		recovery: 'automatic',
		threshold_s: 5,
		venues: {},
		nodes: {}
	});

	it('are one a look, sixty at most, and go with it', () => {
		let known = heard(new Map(), [watcher('one')], 1);
		known = heard(known, [watcher('one')], 1);
		expect(known.get('one')).toHaveLength(1);
		for (let at = 2; at < 100; at += 1) known = heard(known, [watcher('one')], at);
		expect(known.get('one')).toHaveLength(BEATS);
		expect(known.get('one')?.at(-1)?.at_ms).toBe(99);
		expect(heard(known, [], 100).size).toBe(0);
	});
});
