// Package replay is what the backends share whose upstream answers one request with one stream and then
// forgets it (chat, bridge).
//
// There is nothing to resume upstream, so a [Run] keeps its request. When the client's results come, it
// appends the calls and the results to the transcript and sends the whole again. A failure that may be
// temporary is retried, too, as long as the turn has yielded nothing: text is never repeated.
//
//	Start ──► Open: request ──► Answer: text, call, Done   the run waits and holds nothing upstream
//	Resume ─► Open: request + call + result ──► Answer: text, Done
//
// An [Exchange] is the HTTP half: one POST and the messages that answer it, with limits on how long
// upstream may take to begin and may be silent. An [Access] is the key's token for one request, which is
// dropped when upstream refuses it.
//
// Its files: run.go is the run and the transcript that it sends; exchange.go one request and its answer; transport.go
// connections that can be replaced; access.go the access token; usage.go estimates of tokens.
package replay
