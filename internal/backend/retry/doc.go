// Package retry is the one policy for asking upstream again after a failure. Every backend uses it, so that
// a client waits equally long whichever way its request takes.
//
//	before any output     a few retries, with growing pauses; fewer after a time-out of our own
//	after output          a few resumes from a checkpoint; fewer in a row without a new checkpoint
//	a bad access token    once more with a new one, not counted
//	Retry-After           obeyed if it is short; a long one is passed on to the client
//
// The numbers are in policy.go.
//
// The policy is short, because clients retry too: each retry here is multiplied by theirs. When our retries
// are used up, the error says so ([agent.Error].Final), and clients are told not to try again.
package retry
