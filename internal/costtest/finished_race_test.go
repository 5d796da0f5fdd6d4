//go:build race

package costtest

// finished is less with the race detector, which makes a stream ten times as slow.
const finished = 1000
