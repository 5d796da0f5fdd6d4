// Package replay is what backends share whose upstream answers one request with one stream and then forgets it.
//
// There is nothing to resume upstream, so a [Run] keeps its request. When the client's results come, it appends the calls
// and the results to the transcript and asks again. A failure that may pass is tried again, too, as long as the turn has
// yielded nothing: text is never repeated.
//
// An [Exchange] is the HTTP half: one POST and the messages that answer it, with limits on how long upstream may take to
// begin and may be silent. An [Access] is what lets it in: the key's token, which is dropped when upstream refuses it.
//
//	backend ── Open ──► Answer ─┐        Run = Answer, Answer, …   (one a turn)
//	              └─ Exchange   └─ Next
package replay
