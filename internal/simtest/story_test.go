package simtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A story is what happened in a run, told for people. Each line has its time, from the beginning, and who. Lines of one
// moment are ordered by who and then by what, so that the story doesn't depend on which goroutine was first: a person has several.
type story struct {
	began time.Time

	mu    sync.Mutex
	lines []line
}

type line struct {
	at      time.Duration
	who, is string
}

func (s *story) say(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line{time.Since(s.began), who, fmt.Sprintf(format, args...)})
}

// firstWords are how lines begin, in the order in which one person's lines of one moment come. All others come last.
var firstWords = []string{"changes", "asks", "got", "failed", "has asked"}

// rank is a line's place among those of one moment.
func (l *line) rank() int {
	i := slices.IndexFunc(firstWords, func(w string) bool { return strings.HasPrefix(l.is, w) })
	if i < 0 {
		return len(firstWords)
	}
	return i
}

// String is the whole story.
func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := slices.Clone(s.lines)
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.who, b.who), cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.is, b.is))
	})
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%11.3fs  %-9s %s\n", l.at.Seconds(), l.who, l.is)
	}
	return b.String()
}
