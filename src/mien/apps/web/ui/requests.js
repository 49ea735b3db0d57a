/** What every request to this computer's server carries. */

/** The headers that tell the token, where there is one. */
export function authorized(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}
