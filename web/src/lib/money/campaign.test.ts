import { describe, expect, it } from 'vitest';

import type { CampaignBoard, CampaignCard, TraceStep } from '../api/client';
import { countedIn, grouped, made, timeOf } from './campaign';
import { brief, explorerHref, names, sentenceKey, stillThere } from './way';

const NOW_MS = 1_700_000_000_000;

function card(id: string, stage: string, more: Partial<CampaignCard> = {}): CampaignCard {
	return {
		id,
		partner: 'hufi',
		stage,
		joined: false,
		exchange: 'mexc',
		market: 'HMT/USDT',
		measure: 'volume',
		start_ms: NOW_MS - 1000,
		end_ms: NOW_MS + 60_000,
		cycles: 1,
		cycle: 0,
		cycle_end_ms: NOW_MS + 60_000,
		token: 'HMT',
		chain_id: 1338,
		fund: '1',
		paid: '0',
		expected: null,
		target: '1',
		goal: '200',
		volume: '50',
		pause: 'none',
		parked: 0,
		...more
	};
}

function board(...cards: CampaignCard[]): CampaignBoard {
	const stages = [...new Set(['discovered', 'active', ...cards.map(({ stage }) => stage)])];
	return {
		at_ms: NOW_MS,
		columns: stages.map((stage) => ({ stage, cards: cards.filter((one) => one.stage === stage) }))
	};
}

describe('the board of campaigns', () => {
	it('puts what runs first, what ends soonest first in it, and leaves out what is empty', () => {
		const found = grouped(
			board(
				card('old', 'paid_out'),
				card('later', 'active', { end_ms: NOW_MS + 2 }),
				card('sooner', 'active', { end_ms: NOW_MS + 1 })
			)
		);
		expect(found.map(({ name, cards }) => [name, cards.map(({ id }) => id)])).toEqual([
			['running', ['sooner', 'later']],
			['over', ['old']]
		]);
	});

	it('shows a campaign at a stage that is new to the page with those that were found', () => {
		expect(grouped(board(card('new', 'dormant')))).toMatchObject([{ name: 'open' }]);
	});

	it('counts in the second of a pair, or in the symbol whose balance counts', () => {
		expect([countedIn('HMT/USDT'), countedIn('HMT')]).toEqual(['USDT', 'HMT']);
	});

	it('fills the bar by what is made of the goal, never beyond it, and not where nobody counted', () => {
		expect(made(card('a', 'active'))).toBe(0.25);
		expect(made(card('a', 'active', { volume: '300' }))).toBe(1);
		expect(made(card('a', 'active', { volume: null }))).toBeNull();
		expect(made(card('a', 'active', { goal: null }))).toBeNull();
		expect(made(card('a', 'active', { goal: '0' }))).toBeNull();
	});

	it('says when a campaign begins, how long it goes on, or that it is over', () => {
		const one = card('a', 'active');
		expect(timeOf(one, NOW_MS - 3000)).toEqual({ kind: 'begins', seconds: 2 });
		expect(timeOf(one, NOW_MS)).toEqual({ kind: 'left', seconds: 60 });
		expect(timeOf(one, NOW_MS + 60_000)).toEqual({ kind: 'ended' });
	});
});

describe('a reward’s way', () => {
	const step: TraceStep = {
		name: 'transfer',
		state: 'not needed',
		amount: '',
		asset: '',
		at_ms: null,
		detail: '',
		ids: [
			{ kind: 'transaction', id: '0x01', chain_id: 1, state: 'done', at_ms: null, amount: '', asset: '' },
			{ kind: 'transaction', id: '0x01', chain_id: 1, state: 'done', at_ms: null, amount: '', asset: '' },
			{ kind: 'transfer', id: '0x01', chain_id: null, state: 'done', at_ms: null, amount: '', asset: '' }
		]
	};

	it('links a transaction only where an explorer is configured for its chain', () => {
		const explorers = { '1': 'https://explorer.example/tx/' };
		expect(explorerHref(explorers, 1, '0x01')).toBe('https://explorer.example/tx/0x01');
		expect(explorerHref(explorers, 2, '0x01')).toBeNull();
		expect(explorerHref(explorers, null, '0x01')).toBeNull();
		expect(explorerHref({ '1': 'javascript:alert(1)//' }, 1, '0x01')).toBeNull();
		expect(explorerHref(explorers, 1, '../x')).toBe('https://explorer.example/tx/..%2Fx');
	});

	it('shows each name once, long ones by their ends', () => {
		expect(names(step).map(({ kind, id }) => `${kind} ${id}`)).toEqual(['transaction 0x01', 'transfer 0x01']);
		expect(brief('short')).toBe('short');
		expect(brief('0x' + 'ab'.repeat(32))).toBe('0xabababababab…abababab');
	});

	it('has a text for each case that the page says in the reader’s language', () => {
		expect(sentenceKey(step)).toBe('way.transfer.not_needed');
		expect(stillThere('2.425 of it are still on the balance')).toBe('2.425');
		expect(stillThere('paid over the rail mixin')).toBeNull();
	});
});
