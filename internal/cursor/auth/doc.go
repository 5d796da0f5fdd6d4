// Package auth turns a user's Cursor API key into what upstream asks for: an access token for the streams,
// who the key belongs to, and which models it may use.
//
//	POST {backend}/auth/exchange_user_api_key   key ──► access token (a JWT)
//	GET  {api}/v1/me                            key ──► its owner
//	GET  {api}/v1/models                        key ──► models
//
// Access tokens last about an hour. They are cached in memory under a hash of the key, refreshed before
// they end, and never leave this process but in an Authorization header. Nothing is written to disk.
//
// Its files: client.go has Client and what its requests share; token.go access tokens and their cache; account.go what Cursor
// tells about a key and its models; errors.go what its refusals mean.
package auth
