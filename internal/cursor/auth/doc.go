// Package auth turns a user's Cursor API key into what upstream asks for: an access token for the streams,
// who the key belongs to, and which models it may use.
//
//	POST {backend}/auth/exchange_user_api_key   key ──► access token (a JWT)
//	GET  {api}/v1/me                            key ──► its owner
//	GET  {api}/v1/models                        key ──► models
//
// Access tokens last about an hour. They are cached in memory under a hash of the key, refreshed before
// they end, and never leave this process but in an Authorization header. Nothing is written to disk.
package auth
