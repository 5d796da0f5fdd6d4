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
// moment are ordered by who and then by what, so that the story doesn't depend on which goroutine was first.
type story struct {
	began time.Time

	mu    sync.Mutex
	lines []line
	next  map[string]int
}

type line struct {
	at  time.Duration
	who string
	n   int
	is  string
}

func (s *story) say(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = map[string]int{}
	}
	s.next[who]++
	s.lines = append(s.lines, line{time.Since(s.began), who, s.next[who], fmt.Sprintf(format, args...)})
}

// String is the whole story.
func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := slices.Clone(s.lines)
	slices.SortFunc(lines, func(a, b line) int {
		c := cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.who, b.who))
		if c == 0 && (a.who == "upstream" || a.who == "operator") {
			return cmp.Compare(a.is, b.is) // several speak there
		}
		return cmp.Or(c, cmp.Compare(a.n, b.n))
	})
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%11.3fs  %-9s %s\n", l.at.Seconds(), l.who, l.is)
	}
	return b.String()
}
