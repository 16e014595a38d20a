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

async function request<T>(method: 'GET' | 'POST', path: string): Promise<T> {
	let response: Response;
	try {
		response = await fetch(`${BASE}${path}`, { method, headers: { accept: 'application/json' } });
	} catch (error) {
		throw new ApiError('unreachable', error instanceof Error ? error.message : String(error), true);
	}
	if (!response.ok) throw await refusal(response);
	return (await response.json()) as T;
}

/** The requests the pages make, one function each. All throw `ApiError`. */
export const api = {
	status: () => request<InstanceStatus>('GET', '/instance'),
	start: () => request<InstanceStatus>('POST', '/instance/start'),
	stop: () => request<InstanceStatus>('POST', '/instance/stop'),
	config: () => request<ConfigView>('GET', '/instance/config'),
	market: () => request<MarketView>('GET', '/market?levels=15'),
	candles: () => request<Candle[]>('GET', '/market/candles?interval_s=5&limit=720'),
	quotes: () => request<QuotesView>('GET', '/quotes'),
	orders: () => request<OrderView[]>('GET', '/orders?state=open&limit=100'),
	fills: () => request<FillView[]>('GET', '/fills?limit=200'),
	events: () => request<EventView[]>('GET', '/events?limit=200'),
	pool: () => request<PoolView>('GET', '/pool'),
	equity: () => request<EquityPoint[]>('GET', '/pool/equity?limit=2000'),
	performance: () => request<PerformanceView>('GET', '/performance')
};
