import { beforeAll, describe, expect, it } from 'vitest';

import type { GroupView, SealView } from '#lib/api/client.ts';
import { checkGroup, checkSeals, reversed } from './books';

const encoder = new TextEncoder();
const hex = (bytes: ArrayBuffer): string =>
	Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
const sha256 = async (text: string): Promise<string> =>
	hex(await crypto.subtle.digest('SHA-256', encoder.encode(text)));

/** The example of docs/ledger-format.md. */
const OPENING: GroupView = {
	seq: 1,
	key: 'open',
	at_ms: 1_700_000_000_000,
	outcome: 'posted',
	memo: '',
	hash: '12a6f6f0ee1b9b52099d76cf5ce2f4915f7844670b9e53517e23ea928bbb880f',
	previous_hash: 'ef25fa1db338c76bd2e218a9d5d41586cee831820af7ff1ac601b82706a62ee8',
	entries: [],
	canonical:
		'[1,1,"open","afa5d93f7953767a30a1be1247fe4228265c58e633394760c2dee8c185a56f0c",1700000000000,1,"posted","","",null,[["sim:USD",2]],[["external:world","external",null],["user:alice","user","0"]],[]]'
};

/** A group with one transfer, hashed here. */
async function paying(): Promise<GroupView> {
	const canonical = JSON.stringify([
		...[1, 2, 'pay', '00', 5, 1, 'posted', '', '', 'open', [], []],
		[['user:alice', 'user:bob', 'sim:USD', '250', 'REVERSAL']]
	]);
	const previous = Uint8Array.from(OPENING.hash.match(/../g) ?? [], (pair) => parseInt(pair, 16));
	const bytes = Uint8Array.from([...previous, ...encoder.encode(canonical)]);
	return {
		...OPENING,
		...{ seq: 2, key: 'pay', at_ms: 5, canonical, previous_hash: OPENING.hash },
		hash: hex(await crypto.subtle.digest('SHA-256', bytes)),
		entries: [
			{
				position: 0,
				debit: 'user:alice',
				credit: 'user:bob',
				asset: 'sim:USD',
				amount: '2.5',
				units: '250',
				kind: 'REVERSAL',
				phase: 'plain'
			}
		]
	};
}

describe('checkGroup', () => {
	it('finds that the documented example holds', async () => {
		expect(await checkGroup(OPENING)).toBe('holds');
		expect(reversed(OPENING)).toBeNull();
	});

	it('finds a changed byte, hash or predecessor', async () => {
		expect(await checkGroup({ ...OPENING, canonical: `${OPENING.canonical} ` })).toBe('hash');
		expect(await checkGroup({ ...OPENING, hash: OPENING.previous_hash })).toBe('hash');
		expect(await checkGroup({ ...OPENING, previous_hash: OPENING.hash })).toBe('hash');
	});

	it('finds that something else is shown than what was hashed', async () => {
		const group = await paying();
		expect(await checkGroup(group)).toBe('holds');
		expect(reversed(group)).toBe('open');
		expect(await checkGroup({ ...group, memo: 'a gift' })).toBe('content');
		const [entry] = group.entries;
		expect(await checkGroup({ ...group, entries: [{ ...entry!, units: '251' }] })).toBe('content');
		expect(await checkGroup({ ...group, entries: [] })).toBe('content');
		expect(await checkGroup({ ...group, canonical: null })).toBe('content');
	});
});

describe('checkSeals', () => {
	let seals: SealView[];

	beforeAll(async () => {
		const keys = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
		const public_key = hex(await crypto.subtle.exportKey('raw', keys.publicKey));
		let previous = await sha256('mrmarket seals v1\u0000');
		seals = [];
		for (const number of [1, 2, 3]) {
			const said = { at_ms: number * 1000, head: '00', number, public_key, seq: number };
			const document = JSON.stringify({ ...said, assets: [], format: 'mrmarket seal v1', previous });
			const signature = hex(await crypto.subtle.sign('Ed25519', keys.privateKey, encoder.encode(document)));
			seals.unshift({ ...said, document, signature });
			previous = await sha256(document);
		}
	});

	it('finds that signed and chained seals hold, in whatever order and wherever the list begins', async () => {
		expect([...(await checkSeals(seals)).values()]).toEqual(['holds', 'holds', 'holds']);
		expect([...(await checkSeals(seals.slice(0, 1))).values()]).toEqual(['holds']);
	});

	it('finds a signature of something else', async () => {
		const [third, second, first] = seals as [SealView, SealView, SealView];
		const verdicts = await checkSeals([third, { ...second, signature: first.signature }, first]);
		expect(verdicts.get(2)).toBe('signature');
		expect(verdicts.get(3)).toBe('holds');
	});

	it('finds that something else is shown than what was signed', async () => {
		const [third, ...others] = seals as [SealView, SealView, SealView];
		expect((await checkSeals([{ ...third, seq: 99 }, ...others])).get(3)).toBe('content');
	});

	it('finds a seal that does not name the one before', async () => {
		const [third, second, first] = seals as [SealView, SealView, SealView];
		const other = { ...second, document: second.document.replace('"seq":2', '"seq":9') };
		const verdicts = await checkSeals([third, other, first]);
		expect(verdicts.get(2)).toBe('signature');
		expect(verdicts.get(3)).toBe('link');
	});
});
