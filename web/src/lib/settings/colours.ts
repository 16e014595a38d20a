/** The colours that charts paint with, as `rgb()` texts: a canvas library reads no `oklch()` and no variables. */
export interface Palette {
	text: string;
	muted: string;
	line: string;
	surface: string;
	buy: string;
	sell: string;
	own: string;
	ownFaint: string;
}

const TOKENS: Record<keyof Palette, string> = {
	text: '--text',
	muted: '--muted',
	line: '--line',
	surface: '--surface',
	buy: '--buy',
	sell: '--sell',
	own: '--own',
	ownFaint: '--own-faint'
};

/** Resolve the design tokens as they are on an element right now. */
export function readPalette(element: HTMLElement): Palette {
	const canvas = document.createElement('canvas');
	canvas.width = canvas.height = 1;
	const pen = canvas.getContext('2d', { willReadFrequently: true });
	const probe = document.createElement('span');
	element.append(probe);
	const read = (token: string): string => {
		probe.style.color = `var(${token})`;
		const colour = getComputedStyle(probe).color;
		if (!pen) return colour;
		pen.clearRect(0, 0, 1, 1);
		pen.fillStyle = colour;
		pen.fillRect(0, 0, 1, 1);
		const [red = 0, green = 0, blue = 0, alpha = 255] = pen.getImageData(0, 0, 1, 1).data;
		return `rgba(${red}, ${green}, ${blue}, ${(alpha / 255).toFixed(3)})`;
	};
	const palette = Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [name, read(token)]));
	probe.remove();
	return palette as unknown as Palette;
}
