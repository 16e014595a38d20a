import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';

/** Where the pages go; the package's build hook points it into the wheel. The directory is emptied first. */
const out = process.env['MRMARKET_WEB_OUT'] ?? 'build';
/** The instance that `npm run dev` talks to. */
const instance = process.env['MRMARKET_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
	plugins: [
		tailwindcss(),
		sveltekit({
			adapter: adapter({ pages: out, fallback: 'index.html' }),
			compilerOptions: { runes: true },
			// The same sources build the same files: no clock in the output.
			version: { name: process.env['npm_package_version'] ?? '0' }
		})
	],
	server: {
		// The instance refuses foreign origins, so the proxy speaks as the instance's own page.
		proxy: {
			'/api': { target: instance, ws: true, changeOrigin: true, headers: { origin: instance } }
		}
	},
	test: { include: ['src/**/*.test.ts'] }
});
