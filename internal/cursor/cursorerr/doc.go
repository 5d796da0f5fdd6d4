// Package cursorerr knows what the errors of Cursor's backend mean, whichever endpoint says them.
//
// Upstream says an error as a Connect code, mostly with a detail beside it: a number of Cursor's own, which says more than
// the code does, and words for a person. A [Route] reads them into a [Failure]: the error for the client, and what a
// backend may do about it. Whether it does is the backend's business.
//
//	table.go    the numbers, the Connect codes and the statuses
//	failure.go  how an error is read
package cursorerr
