/** Checks in the reader's own browser: that a group's hash is that of its bytes, and that seals are signed and chained. */

import type { GroupView, SealView } from '#lib/api/client.ts';
import { opened, ProofError } from '#lib/verify/proof.ts';

/** What a check came to; `unsupported` where the browser has no Ed25519 or no WebCrypto at all. */
export type Verdict = 'holds' | 'hash' | 'content' | 'signature' | 'link' | 'unsupported';

const encoder = new TextEncoder();

/** A key in this place means that the group reverses the one with that key (docs/ledger-format.md). */
const REVERSES = 9;
const TRANSFERS = 12;

/** The canonical bytes as the list that they are; null where they are not shown or are none. */
function read(canonical: string | null): unknown[] | null {
	if (canonical === null) return null;
	try {
		const list: unknown = JSON.parse(canonical);
		return Array.isArray(list) ? list : null;
	} catch {
		return null;
	}
}

/** The key of the group that this one reverses. */
export function reversed(group: GroupView): string | null {
	const key = read(group.canonical)?.[REVERSES];
	return typeof key === 'string' ? key : null;
}

/** Recompute a group's hash from its bytes and compare what is shown with them. */
export async function checkGroup(group: GroupView): Promise<Verdict> {
	if (!globalThis.crypto?.subtle) return 'unsupported';
	const list = read(group.canonical);
	if (group.canonical === null || list === null) return 'content';
	if ((await sha256(fromHex(group.previous_hash), encoder.encode(group.canonical))) !== group.hash)
		return 'hash';
	const [, seq, key, , atMs, , outcome, , memo] = list;
	const shown = [group.seq, group.key, group.at_ms, group.outcome, group.memo];
	if (JSON.stringify([seq, key, atMs, outcome, memo]) !== JSON.stringify(shown)) return 'content';
	const transfers = (list[TRANSFERS] as unknown[][]).map(([debit, credit, asset, units, kind]) =>
		[debit, credit, asset, units, kind].map(String)
	);
	const entries = group.entries.map(({ debit, credit, asset, units, kind }) => [
		debit,
		credit,
		asset,
		units,
		kind
	]);
	return JSON.stringify(transfers) === JSON.stringify(entries) ? 'holds' : 'content';
}

/**
 * Check each seal: its signature, that what is shown is what was signed, and that it names the one before it,
 * where that one is in the list (between them may be a hand-over between keys).
 */
export async function checkSeals(seals: readonly SealView[]): Promise<Map<number, Verdict>> {
	const digests = new Map<number, string>();
	const verdicts = new Map<number, Verdict>();
	for (const seal of seals.toSorted((left, right) => left.number - right.number)) {
		verdicts.set(seal.number, await checkSeal(seal, digests.get(seal.number - 1)));
		if (globalThis.crypto?.subtle) digests.set(seal.number, await sha256(encoder.encode(seal.document)));
	}
	return verdicts;
}

async function checkSeal(seal: SealView, before: string | undefined): Promise<Verdict> {
	if (!globalThis.crypto?.subtle) return 'unsupported';
	let signed: Record<string, unknown>;
	try {
		signed = { ...(await opened(seal)) };
	} catch (error) {
		if (!(error instanceof ProofError)) throw error;
		return error.code === 'unsupported' ? 'unsupported' : 'signature';
	}
	const shown: Record<string, unknown> = {
		number: seal.number,
		at_ms: seal.at_ms,
		seq: seal.seq,
		head: seal.head,
		public_key: seal.public_key
	};
	if (Object.entries(shown).some(([name, value]) => signed[name] !== value)) return 'content';
	return before !== undefined && signed['previous'] !== before ? 'link' : 'holds';
}

async function sha256(...parts: Uint8Array[]): Promise<string> {
	const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
	let place = 0;
	for (const part of parts) {
		whole.set(part, place);
		place += part.length;
	}
	const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
	return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: string): Uint8Array {
	return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
		parseInt(text.slice(2 * at, 2 * at + 2), 16)
	);
}
