// Package cursorerr knows what the errors of Cursor's backend mean, whichever endpoint they come from.
//
// Upstream reports an error as a Connect code, mostly with a detail beside it: a number of Cursor's own,
// which is more precise than the code, and a sentence for a person. A [Route] reads them into a [Failure]:
// the error for the client, and what a backend may do about it. Whether it does is the backend's
// decision.
//
//	connectwire.Error ──► Route.Read ──► Failure{Err, Retryable, BadToken, LostConversation}
//
//	table.go    the numbers, the Connect codes and the statuses
//	failure.go  how an error is read
package cursorerr
