//go:build !race

package costtest

// finished is how many streams TestFinishedStreamsLeaveNothing lets end.
const finished = 10_000
