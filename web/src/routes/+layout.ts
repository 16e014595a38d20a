/** One page application: the instance serves files and an API, nothing renders on a server. */
export const ssr = false;
