// Package retry is the one policy for asking upstream again after a failure. Every backend uses it, so that a client
// meets the same patience whichever way its request takes.
//
// The policy is short, because clients retry too: each retry here multiplies with theirs. When our retries are used up,
// the error says so ([agent.Error].Final), and clients are told not to begin anew.
package retry
