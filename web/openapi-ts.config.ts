import { defineConfig } from '@hey-api/openapi-ts';

/** Types only: the fetch functions in `src/lib/api/client.ts` are few and small. */
export default defineConfig({
	input: './openapi.json',
	logs: { file: false },
	output: { path: './src/lib/api/generated', postProcess: [], tsConfigPath: null },
	plugins: ['@hey-api/typescript']
});
