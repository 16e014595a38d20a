import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { SILENCE_MS, Stream, type Socket, type StreamMessage } from './stream';

/** A socket whose other end is the test. */
class TestSocket implements Socket {
	onopen: Socket['onopen'] = null;
	onmessage: Socket['onmessage'] = null;
	onclose: Socket['onclose'] = null;
	closed = false;

	close(): void {
		this.closed = true;
	}

	accept(): void {
		this.onopen?.call(this as unknown as WebSocket, new Event('open'));
	}

	send(seq: number): void {
		const data = JSON.stringify({ seq, topic: 'orders', at_ms: 0, data: [] });
		this.onmessage?.call(this as unknown as WebSocket, new MessageEvent('message', { data }));
	}

	drop(): void {
		this.onclose?.call(this as unknown as WebSocket, new Event('close') as CloseEvent);
	}
}

describe('the stream', () => {
	let sockets: TestSocket[];
	let heard: string[];
	let stream: Stream;

	beforeEach(() => {
		vi.useFakeTimers();
		sockets = [];
		heard = [];
		stream = new Stream(
			{
				message: (message: StreamMessage) => heard.push(`message ${message.seq}`),
				connected: (connected) => heard.push(connected ? 'connected' : 'lost'),
				gap: () => heard.push('gap')
			},
			() => {
				const socket = new TestSocket();
				sockets.push(socket);
				return socket;
			},
			() => 0.5
		);
	});
	afterEach(() => {
		stream.close();
		vi.useRealTimers();
	});

	it('passes messages on in order', () => {
		sockets[0]?.accept();
		sockets[0]?.send(1);
		sockets[0]?.send(2);
		expect(heard).toEqual(['connected', 'message 1', 'message 2']);
	});

	it('reports a missing number before the message that showed it, once', () => {
		sockets[0]?.accept();
		for (const seq of [1, 4, 5]) sockets[0]?.send(seq);
		expect(heard).toEqual(['connected', 'message 1', 'gap', 'message 4', 'message 5']);
	});

	it('starts numbering again on a new connection', () => {
		sockets[0]?.accept();
		sockets[0]?.send(1);
		sockets[0]?.drop();
		vi.advanceTimersByTime(500);
		sockets[1]?.accept();
		sockets[1]?.send(1);
		expect(heard).toEqual(['connected', 'message 1', 'lost', 'connected', 'message 1']);
	});

	it('waits longer after every failure, up to eight seconds, and shortly again after a success', () => {
		const pauses: number[] = [];
		for (let attempt = 0; attempt < 6; attempt += 1) {
			sockets.at(-1)?.drop();
			const before = sockets.length;
			let waited = 0;
			while (sockets.length === before) {
				vi.advanceTimersByTime(250);
				waited += 250;
			}
			pauses.push(waited);
		}
		expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
		sockets.at(-1)?.accept();
		sockets.at(-1)?.drop();
		const before = sockets.length;
		vi.advanceTimersByTime(500);
		expect(sockets).toHaveLength(before + 1);
	});

	it('takes a silent connection for dead', () => {
		sockets[0]?.accept();
		vi.advanceTimersByTime(SILENCE_MS);
		expect(sockets[0]?.closed).toBe(true);
		expect(heard).toEqual(['connected', 'lost']);
	});

	it('stays closed once it is closed', () => {
		sockets[0]?.accept();
		stream.close();
		vi.advanceTimersByTime(60_000);
		expect(sockets).toHaveLength(1);
	});
});
