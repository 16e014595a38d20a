/**
 * Checks a proof from nothing but itself and the key that you trust; see docs/ledger-format.md.
 * SHA-256 and Ed25519 are the browser's own (WebCrypto). Nothing is asked of the instance.
 */

export interface Signed {
	document: string;
	signature: string;
}

export interface Step {
	side: string;
	sum: string;
	hash: string;
}

export interface Claim {
	account: string;
	asset: string;
	units: string;
	nonce: string;
	path: Step[];
}

export interface Proof {
	format: string;
	account: string;
	seal: Signed;
	rotations: Signed[];
	claims: Claim[];
	pools: Claim[];
}

interface SealedAsset {
	id: string;
	decimals: number;
	sum: string;
	root: string;
}

interface Seal {
	format: string;
	number: number;
	at_ms: number;
	seq: number;
	head: string;
	public_key: string;
	assets: SealedAsset[];
}

export interface ProvedClaim {
	account: string;
	asset: string;
	decimals: number;
	/** Base units. */
	units: bigint;
	/** What everybody is owed in this asset. */
	total: bigint;
}

export interface ProofResult {
	account: string;
	seal: number;
	atMs: number;
	seq: number;
	head: string;
	publicKey: string;
	claims: ProvedClaim[];
	pools: ProvedClaim[];
}

/** The first thing that does not hold. `code` is stable; pages translate it. */
export class ProofError extends Error {
	constructor(
		readonly code: 'unreadable' | 'unsupported' | 'signature' | 'key' | 'owner' | 'root',
		message: string
	) {
		super(message);
		this.name = 'ProofError';
	}
}

const LIMIT = 1n << 256n;
const encoder = new TextEncoder();

/** Resolves with what the proof shows; rejects with a `ProofError`. */
export async function checkProof(proof: Proof, trustedKey?: string): Promise<ProofResult> {
	if (proof.format !== 'mrmarket proof v1') throw new ProofError('unreadable', 'another format');
	const seal = (await opened(proof.seal)) as Seal;
	if (seal.format !== 'mrmarket seal v1') throw new ProofError('unreadable', 'there is no seal in it');
	const names = seal.assets.map((asset) => asset.id);
	if (names.some((name, place) => place > 0 && names[place - 1]! >= name)) {
		throw new ProofError('root', 'the seal has an asset twice');
	}
	await checkKey(proof, seal, trustedKey);
	checkOwners(proof);
	const assets = new Map(seal.assets.map((asset) => [asset.id, asset]));
	return {
		account: proof.account,
		seal: seal.number,
		atMs: seal.at_ms,
		seq: seal.seq,
		head: seal.head,
		publicKey: seal.public_key,
		claims: await Promise.all(proof.claims.map((claim) => proved(claim, assets))),
		pools: await Promise.all(proof.pools.map((claim) => proved(claim, assets)))
	};
}

/** A signed document, if the key that it names signed it. */
export async function opened(signed: Signed): Promise<{ public_key: string; new_public_key?: string }> {
	let document: { public_key: string };
	try {
		document = JSON.parse(signed.document) as { public_key: string };
	} catch {
		throw new ProofError('unreadable', 'a document is no JSON');
	}
	let holds: boolean;
	try {
		const key = await crypto.subtle.importKey('raw', bytesOf(document.public_key, 32), 'Ed25519', false, [
			'verify'
		]);
		holds = await crypto.subtle.verify(
			'Ed25519',
			key,
			bytesOf(signed.signature, 64),
			encoder.encode(signed.document)
		);
	} catch (error) {
		if (error instanceof ProofError) throw error;
		if (error instanceof DOMException && error.name === 'NotSupportedError') {
			throw new ProofError('unsupported', 'this browser has no Ed25519');
		}
		holds = false;
	}
	if (!holds) throw new ProofError('signature', 'a document is not signed by the key that it names');
	return document;
}

async function checkKey(proof: Proof, seal: Seal, trustedKey: string | undefined): Promise<void> {
	let key = trustedKey ?? seal.public_key;
	for (const signed of proof.rotations) {
		const handover = await opened(signed);
		if (handover.public_key === key && key !== seal.public_key && handover.new_public_key) {
			key = handover.new_public_key;
		}
	}
	if (key !== seal.public_key) {
		throw new ProofError('key', `the seal is signed by ${seal.public_key}, not by the key that you trust`);
	}
}

function checkOwners(proof: Proof): void {
	const shares = new Set(proof.claims.map((claim) => claim.asset));
	if (proof.claims.length === 0) throw new ProofError('owner', 'the proof claims nothing');
	if (proof.claims.some((claim) => claim.account !== proof.account)) {
		throw new ProofError('owner', 'a claim belongs to another account');
	}
	if (proof.pools.some((claim) => !shares.has(claim.account))) {
		throw new ProofError('owner', 'it shows a pool whose shares it does not claim');
	}
}

async function proved(claim: Claim, assets: Map<string, SealedAsset>): Promise<ProvedClaim> {
	const asset = assets.get(claim.asset);
	if (asset === undefined) throw new ProofError('root', `the seal knows nothing of ${claim.asset}`);
	let total = amountOf(claim.units);
	let hash = await digest(
		Uint8Array.of(0),
		integer(BigInt(encoder.encode(claim.account).length)),
		encoder.encode(claim.account),
		bytesOf(claim.nonce, 32),
		integer(total)
	);
	for (const step of claim.path) {
		const here = [integer(total), hash];
		const beside = [integer(amountOf(step.sum)), bytesOf(step.hash, 32)];
		if (step.side !== 'left' && step.side !== 'right')
			throw new ProofError('unreadable', 'a step has no side');
		const pair = step.side === 'left' ? [...beside, ...here] : [...here, ...beside];
		hash = await digest(Uint8Array.of(1), ...pair);
		total += amountOf(step.sum);
		if (total >= LIMIT) throw new ProofError('root', 'a sum is too large');
	}
	if (hexOf(hash) !== asset.root || total.toString() !== asset.sum) {
		throw new ProofError('root', `${claim.account} in ${claim.asset} does not lead to the sealed root`);
	}
	return {
		account: claim.account,
		asset: claim.asset,
		decimals: asset.decimals,
		units: amountOf(claim.units),
		total
	};
}

async function digest(...parts: Uint8Array[]): Promise<Uint8Array> {
	const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
	let place = 0;
	for (const part of parts) {
		whole.set(part, place);
		place += part.length;
	}
	return new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
}

function amountOf(text: string): bigint {
	if (!/^(0|[1-9][0-9]{0,77})$/.test(text)) throw new ProofError('unreadable', `${text} is no amount`);
	const value = BigInt(text);
	if (value >= LIMIT) throw new ProofError('unreadable', `${text} is too large`);
	return value;
}

/** 32 bytes, the most significant first. */
function integer(value: bigint): Uint8Array {
	return bytesOf(value.toString(16).padStart(64, '0'), 32);
}

function bytesOf(text: string, size: number): Uint8Array<ArrayBuffer> {
	if (text.length !== 2 * size || !/^[0-9a-f]*$/.test(text)) {
		throw new ProofError('unreadable', `${text} is not ${size} bytes`);
	}
	return Uint8Array.from({ length: size }, (_, place) => parseInt(text.slice(2 * place, 2 * place + 2), 16));
}

function hexOf(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
