import { describe, expect, it } from 'vitest';

import { hexText, signInMessage } from './siwe';
import { shortened } from './session.svelte';

describe('signing in with a wallet', () => {
	it('asks for exactly the standard\u2019s lines', () => {
		const nonce = {
			nonce: 'abcdef123456',
			domain: '127.0.0.1:8080',
			uri: 'http://127.0.0.1:8080',
			chain_id: 1,
			issued_at: '2026-11-21T08:00:00Z',
			expires_at: '2026-11-21T08:10:00Z'
		};
		expect(signInMessage(nonce, '0x1B15d6fC92708c50E6f828EEA0f3781948D61272')).toBe(
			`127.0.0.1:8080 wants you to sign in with your Ethereum account:
0x1B15d6fC92708c50E6f828EEA0f3781948D61272

Sign in. This costs nothing and moves no money.

URI: http://127.0.0.1:8080
Version: 1
Chain ID: 1
Nonce: abcdef123456
Issued At: 2026-11-21T08:00:00Z
Expiration Time: 2026-11-21T08:10:00Z`
		);
	});

	it('hands the text over as bytes', () => {
		expect(hexText('Aé')).toBe('0x41c3a9');
	});

	it('shortens addresses and leaves names alone', () => {
		expect(shortened('0x1b15d6fc92708c50e6f828eea0f3781948d61272')).toBe('0x1b15…1272');
		expect(shortened('alice')).toBe('alice');
	});
});
