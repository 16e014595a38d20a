/** How a stage is coloured; a stage that is not here is plain. */
export const STAGE_TONES: Record<string, 'good' | 'own' | 'warn'> = {
	active: 'good',
	joined: 'own',
	joining: 'own',
	unknown: 'warn',
	ended: 'own',
	paid_out: 'good'
};

/** How the state of a payout is coloured. */
export const PAYOUT_TONES: Record<string, 'good' | 'own' | 'warn' | 'bad'> = {
	parked: 'warn',
	entered: 'own',
	sweeping: 'own',
	arrived: 'good',
	retracted: 'bad'
};
