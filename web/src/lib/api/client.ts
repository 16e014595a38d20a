import type {
	Candle,
	ConfigView,
	EquityPoint,
	EventView,
	FillView,
	InstanceStatus,
	MarketView,
	OrderView,
	PerformanceView,
	PoolView,
	QuotesView
} from './generated';

export type * from './generated';

const BASE = '/api/v1';

/** The API's refusal, or the lack of any answer (`code` is then `unreachable`). */
export class ApiError extends Error {
	override readonly name = 'ApiError';

	constructor(
		readonly code: string,
		message: string,
		readonly retryable: boolean
	) {
		super(message);
	}
}

async function refusal(response: Response): Promise<ApiError> {
	try {
		const problem: unknown = await response.json();
		if (problem && typeof problem === 'object' && 'code' in problem && 'message' in problem) {
			return new ApiError(
				String(problem.code),
				String(problem.message),
				'retryable' in problem && problem.retryable === true
			);
		}
	} catch {
		// Not JSON: whatever stands between us and the instance answered, not the instance.
	}
	return new ApiError(
		`http_${response.status}`,
		`${response.status} ${response.statusText}`,
		response.status >= 500
	);
}

/**
 * What the page holds of its session. A browser has one cookie for an instance, so a page has one door.
 * `refused` is told when the instance wants a sign-in first.
 */
export class Door {
	csrf: string | null = null;
	refused: (() => void) | null = null;
	/** Learns the session anew; asked once when the token no longer fits. */
	renew: (() => Promise<void>) | null = null;
}

export const door = new Door();

async function send(method: 'GET' | 'POST', path: string, body: unknown): Promise<Response> {
	const headers: Record<string, string> = { accept: 'application/json' };
	if (body !== undefined) headers['content-type'] = 'application/json';
	if (method === 'POST' && door.csrf) headers['x-csrf-token'] = door.csrf;
	try {
		return await fetch(`${BASE}${path}`, {
			method,
			headers,
			...(body === undefined ? {} : { body: JSON.stringify(body) })
		});
	} catch (error) {
		throw new ApiError('unreachable', error instanceof Error ? error.message : String(error), true);
	}
}

async function request<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
	let response = await send(method, path, body);
	if (response.ok) return (await response.json()) as T;
	let problem = await refusal(response);
	if (problem.code === 'csrf_refused' && door.renew) {
		// Another tab signed in or out: learn the new token and ask once more.
		await door.renew();
		response = await send(method, path, body);
		if (response.ok) return (await response.json()) as T;
		problem = await refusal(response);
	}
	if (problem.code === 'sign_in_needed') door.refused?.();
	throw problem;
}

/** Ask; the path is below `/api/v1`. Throws `ApiError`. */
export const get = <T>(path: string): Promise<T> => request<T>('GET', path);

/** Change something; the session's token goes with it. Throws `ApiError`. */
export const post = <T>(path: string, body?: unknown): Promise<T> => request<T>('POST', path, body);

/** A path's query from what is known; null, undefined and empty texts are left out. */
export function query(values: Record<string, string | number | null | undefined>): string {
	const known = Object.entries(values).filter(
		([, value]) => value !== null && value !== undefined && value !== ''
	);
	return known.length
		? `?${new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString()}`
		: '';
}

/** The requests the pages make, one function each. All throw `ApiError`. */
export const api = {
	status: () => get<InstanceStatus>('/instance'),
	start: () => post<InstanceStatus>('/instance/start'),
	stop: () => post<InstanceStatus>('/instance/stop'),
	config: () => get<ConfigView>('/instance/config'),
	market: () => get<MarketView>('/market?levels=15'),
	candles: () => get<Candle[]>('/market/candles?interval_s=5&limit=720'),
	quotes: () => get<QuotesView>('/quotes'),
	orders: () => get<OrderView[]>('/orders?state=open&limit=100'),
	fills: () => get<FillView[]>('/fills?limit=200'),
	events: () => get<EventView[]>('/events?limit=200'),
	pool: () => get<PoolView>('/pool'),
	equity: () => get<EquityPoint[]>('/pool/equity?limit=2000'),
	performance: () => get<PerformanceView>('/performance')
};
