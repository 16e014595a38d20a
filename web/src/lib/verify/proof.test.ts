import { describe, expect, it } from 'vitest';

import { checkProof, ProofError, type Proof } from './proof';
import vectors from './vectors.json';

const sound = vectors.sound as Proof[];
const alice = sound[0]!;

describe('checkProof', () => {
	it.each(sound.map((proof) => [proof.account, proof] as const))(
		'finds that the proof of %s holds, and what it shows',
		async (account, proof) => {
			const result = await checkProof(proof, vectors.public_key);
			expect(result.account).toBe(account);
			expect(result.publicKey).toBe(vectors.public_key);
			expect(result.claims).toHaveLength(proof.claims.length);
			for (const [place, claim] of result.claims.entries()) {
				expect(claim.units.toString()).toBe(proof.claims[place]!.units);
				expect(claim.total).toBeGreaterThanOrEqual(claim.units);
			}
		}
	);

	it.each(vectors.broken.map((entry) => [entry.why, entry.proof as Proof] as const))(
		'refuses a proof with %s',
		async (_, proof) => {
			await expect(checkProof(proof, vectors.public_key)).rejects.toBeInstanceOf(ProofError);
		}
	);

	it('shows the pool behind the shares', async () => {
		const result = await checkProof(alice);
		expect(result.claims.map((claim) => [claim.asset, claim.units])).toEqual([
			['pool:main', 6n * 10n ** 18n],
			['sim:USD', 999n]
		]);
		expect(result.pools.map((claim) => [claim.account, claim.asset, claim.units])).toEqual([
			['pool:main', 'sim:USD', 9000n]
		]);
	});

	it('does not take another key for the one that is trusted', async () => {
		await expect(checkProof(alice, '00'.repeat(32))).rejects.toMatchObject({ code: 'key' });
	});

	it('says what is wrong by a stable code', async () => {
		const cases = new Map(vectors.broken.map((entry) => [entry.why, entry.proof as Proof]));
		const codes = {
			'another amount': 'root',
			'another account': 'owner',
			'an amount below zero': 'unreadable',
			'a changed signature': 'signature',
			'another format': 'unreadable'
		};
		for (const [why, code] of Object.entries(codes)) {
			await expect(checkProof(cases.get(why)!)).rejects.toMatchObject({ code });
		}
	});
});
