import type { NonceView } from '../api/client';

/** The part of a browser wallet (EIP-1193) that signing in needs. */
export interface Wallet {
	request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

/** The browser's wallet, if it has one. */
export function browserWallet(): Wallet | null {
	const found: unknown = (globalThis as { ethereum?: unknown }).ethereum;
	return found && typeof (found as Wallet).request === 'function' ? (found as Wallet) : null;
}

/** The text that a wallet signs (EIP-4361). `address` carries its checksum, as wallets give it. */
export function signInMessage(nonce: NonceView, address: string): string {
	return [
		`${nonce.domain} wants you to sign in with your Ethereum account:`,
		address,
		'',
		'Sign in. This costs nothing and moves no money.',
		'',
		`URI: ${nonce.uri}`,
		'Version: 1',
		`Chain ID: ${nonce.chain_id}`,
		`Nonce: ${nonce.nonce}`,
		`Issued At: ${nonce.issued_at}`,
		`Expiration Time: ${nonce.expires_at}`
	].join('\n');
}

/** UTF-8 as hexadecimal, the form in which `personal_sign` takes a text. */
export function hexText(text: string): string {
	return `0x${Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
