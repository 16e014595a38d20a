import {
	AreaSeries,
	CandlestickSeries,
	ColorType,
	createChart,
	createSeriesMarkers,
	CrosshairMode,
	LineStyle,
	TickMarkType,
	type IChartApi,
	type IPriceLine,
	type ISeriesApi,
	type ISeriesMarkersPluginApi,
	type Time,
	type UTCTimestamp
} from 'lightweight-charts';

import type { Candle } from '#lib/api/client.ts';
import type { FillMark } from '#lib/desk/candles.ts';
import type { Times } from '#lib/format/time.ts';
import type { Palette } from '#lib/settings/colours.ts';

/** Charts alone may use floating point: a pixel is coarser than the error. */
const seconds = (ms: number): UTCTimestamp => (ms / 1000) as UTCTimestamp;
const ms = (time: Time): number => (time as number) * 1000;

/** Candles in view at first: not so few that they are blocks, not so many that they are hairs. */
const FEWEST_BARS = 60;
const MOST_BARS = 120;

/** How a chart looks and speaks. */
export interface Dress {
	palette: Palette;
	times: Times;
	/** Text of a value on the axis. */
	value: (value: number) => string;
}

/** A quote of ours, drawn as a line. */
export interface QuoteLine {
	side: 'buy' | 'sell';
	price: number;
	live: boolean;
}

function frame(element: HTMLElement): IChartApi {
	return createChart(element, {
		autoSize: true,
		layout: { attributionLogo: false, fontSize: 11, fontFamily: getComputedStyle(element).fontFamily },
		// A page that scrolls under the finger must not be caught by its charts.
		handleScroll: { mouseWheel: false, vertTouchDrag: false },
		handleScale: { mouseWheel: false },
		crosshair: { mode: CrosshairMode.Normal },
		rightPriceScale: { borderVisible: false },
		timeScale: { borderVisible: false, timeVisible: true, secondsVisible: true, rightOffset: 4 },
		grid: { vertLines: { visible: false } }
	});
}

function dressFrame(chart: IChartApi, { palette, times, value }: Dress): void {
	chart.applyOptions({
		layout: { background: { type: ColorType.Solid, color: palette.surface }, textColor: palette.muted },
		grid: { horzLines: { color: palette.line } },
		crosshair: {
			vertLine: { color: palette.muted, labelBackgroundColor: palette.text },
			horzLine: { color: palette.muted, labelBackgroundColor: palette.text }
		},
		localization: { priceFormatter: value, timeFormatter: (time: Time) => times.full(ms(time)) },
		timeScale: {
			tickMarkFormatter: (time: Time, mark: TickMarkType) => {
				if (mark === TickMarkType.TimeWithSeconds) return times.clock(ms(time));
				return mark === TickMarkType.Time ? times.minute(ms(time)) : times.day(ms(time));
			}
		}
	});
}

/** Candles with our fills as arrows and our quotes as lines. */
export class CandleChart {
	readonly #chart: IChartApi;
	readonly #series: ISeriesApi<'Candlestick'>;
	readonly #markers: ISeriesMarkersPluginApi<Time>;
	#lines: IPriceLine[] = [];
	#quotes: QuoteLine[] = [];
	#palette: Palette;
	#shown = 0;
	#first = NaN;
	#last = NaN;

	constructor(element: HTMLElement, dress: Dress) {
		this.#palette = dress.palette;
		this.#chart = frame(element);
		this.#series = this.#chart.addSeries(CandlestickSeries, {
			borderVisible: false,
			priceLineVisible: false,
			autoscaleInfoProvider: (
				original: () => { priceRange: { minValue: number; maxValue: number } | null } | null
			) => {
				const info = original();
				if (!info?.priceRange) return info;
				// The quotes next to the price stay in view, wherever the candles are.
				const { bid, ask } = this.#touch();
				return {
					...info,
					priceRange: {
						minValue: Math.min(info.priceRange.minValue, bid ?? Infinity),
						maxValue: Math.max(info.priceRange.maxValue, ask ?? -Infinity)
					}
				};
			}
		});
		this.#markers = createSeriesMarkers(this.#series, []);
		this.dress(dress);
	}

	/** Change colours or language. */
	dress(dress: Dress): void {
		this.#palette = dress.palette;
		dressFrame(this.#chart, dress);
		const { buy, sell } = dress.palette;
		this.#series.applyOptions({ upColor: buy, downColor: sell, wickUpColor: buy, wickDownColor: sell });
		this.quote(this.#quotes);
	}

	/** Show candles, oldest first; only what changed is handed to the chart. */
	show(candles: readonly Candle[]): void {
		const bars = candles.map((candle) => ({
			time: seconds(candle.start_ms),
			open: Number(candle.open),
			high: Number(candle.high),
			low: Number(candle.low),
			close: Number(candle.close)
		}));
		const first = bars[0]?.time ?? NaN;
		const grown = bars.length - this.#shown;
		if (first === this.#first && this.#shown > 0 && (grown === 0 || grown === 1)) {
			for (const bar of bars.slice(-1 - grown)) if (bar.time >= this.#last) this.#series.update(bar);
		} else {
			this.#series.setData(bars);
			if (this.#shown === 0) this.#frameLatest(bars.length);
		}
		this.#shown = bars.length;
		this.#first = first;
		this.#last = bars.at(-1)?.time ?? NaN;
	}

	/** Another interval: the latest candles come into view again. */
	restart(): void {
		this.#shown = 0;
	}

	/** Mark our fills. */
	mark(marks: readonly FillMark[]): void {
		this.#markers.setMarkers(
			marks.map(({ start_ms, side, count }) => ({
				time: seconds(start_ms),
				position: side === 'buy' ? ('belowBar' as const) : ('aboveBar' as const),
				shape: side === 'buy' ? ('arrowUp' as const) : ('arrowDown' as const),
				color: this.#palette.own,
				size: 1,
				text: count > 1 ? `${count}` : ''
			}))
		);
	}

	/** Draw our quotes. */
	quote(quotes: readonly QuoteLine[]): void {
		for (const line of this.#lines) this.#series.removePriceLine(line);
		this.#quotes = [...quotes];
		const { bid, ask } = this.#touch();
		this.#lines = quotes.map(({ side, price, live }) =>
			this.#series.createPriceLine({
				price,
				color: this.#palette.own,
				lineWidth: 1,
				lineStyle: live ? LineStyle.Dashed : LineStyle.SparseDotted,
				axisLabelVisible: price === (side === 'buy' ? bid : ask),
				axisLabelColor: this.#palette.own,
				axisLabelTextColor: this.#palette.surface,
				title: ''
			})
		);
	}

	/** Free everything. */
	remove(): void {
		this.#chart.remove();
	}

	#touch(): { bid: number | undefined; ask: number | undefined } {
		const prices = (side: 'buy' | 'sell'): number[] =>
			this.#quotes.filter((quote) => quote.side === side).map(({ price }) => price);
		const bids = prices('buy');
		const asks = prices('sell');
		return {
			bid: bids.length ? Math.max(...bids) : undefined,
			ask: asks.length ? Math.min(...asks) : undefined
		};
	}

	#frameLatest(count: number): void {
		this.#chart.timeScale().setVisibleLogicalRange({
			from: count - Math.min(Math.max(count, FEWEST_BARS), MOST_BARS),
			to: count + 4
		});
	}
}

/** One line over time with a soft area below. */
export class CurveChart {
	readonly #chart: IChartApi;
	readonly #series: ISeriesApi<'Area'>;

	constructor(element: HTMLElement, dress: Dress) {
		this.#chart = frame(element);
		this.#chart.applyOptions({ timeScale: { rightOffset: 0, fixLeftEdge: true, fixRightEdge: true } });
		this.#series = this.#chart.addSeries(AreaSeries, {
			lineWidth: 2,
			priceLineVisible: false,
			lastValueVisible: true
		});
		this.dress(dress);
	}

	/** Change colours or language. */
	dress(dress: Dress): void {
		dressFrame(this.#chart, dress);
		const { own, ownFaint } = dress.palette;
		this.#series.applyOptions({
			lineColor: own,
			topColor: ownFaint,
			bottomColor: dress.palette.surface
		});
	}

	/** Show points, oldest first, one a second at most. */
	show(points: readonly { at_ms: number; value: number }[]): void {
		const bySecond = new Map(points.map(({ at_ms, value }) => [Math.floor(at_ms / 1000), value]));
		this.#series.setData([...bySecond].map(([time, value]) => ({ time: time as UTCTimestamp, value })));
		this.#chart.timeScale().fitContent();
	}

	/** Free everything. */
	remove(): void {
		this.#chart.remove();
	}
}
