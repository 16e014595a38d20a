/** The part of an asset id that people say: `rail:USDT` is USDT, `pool:main` is a share of main. */
export function code(asset: string): string {
	return asset.slice(asset.indexOf(':') + 1);
}

/** Whether it is a share of a pool. */
export function isShare(asset: string): boolean {
	return asset.startsWith('pool:');
}

/** A key of the caller's own, so that asking twice does a thing once. */
export function freshKey(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
