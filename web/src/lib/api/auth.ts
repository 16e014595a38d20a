import { get, post, type DemoPerson, type NonceView, type SessionView } from './client';

/** Signing in and out. All throw `ApiError`. */
export const auth = {
	session: () => get<SessionView>('/auth/session'),
	nonce: () => get<NonceView>('/auth/nonce'),
	wallet: (message: string, signature: string) => post<SessionView>('/auth/wallet', { message, signature }),
	admin: (password: string) => post<SessionView>('/auth/admin', { password }),
	setUp: (token: string, password: string) => post<SessionView>('/auth/setup', { token, password }),
	signOut: () => post<SessionView>('/auth/logout', {}),
	people: () => get<DemoPerson[]>('/auth/demo'),
	demo: (name: string) => post<SessionView>('/auth/demo', { name })
};
