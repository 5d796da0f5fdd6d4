package apitest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// CheckGrowth checks that twice as much of anything costs about twice as many allocations. Time is not measured, because it
// differs from one machine to the next. A case makes the members of a body that holds n of what it is named after; decode
// does the surface's work on them.
func CheckGrowth(t *testing.T, cases map[string]func(n int) string, decode func(members string) error) {
	for name, members := range cases {
		t.Run(name, func(t *testing.T) {
			allocations := func(n int) float64 {
				text := members(n)
				return testing.AllocsPerRun(1, func() {
					if err := decode(text); err != nil {
						t.Fatal(err)
					}
				})
			}
			one, two := allocations(500), allocations(1000)
			if two > 2.5*one {
				t.Errorf("%v allocations for 500, %v for 1000", one, two)
			}
		})
	}
}

// List is n values with commas between them. The format gets the number of each, from 0 on.
func List(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// Discard is a client that reads an answer and forgets it. It allocates nothing.
type Discard struct{ Headers http.Header }

// Header implements http.ResponseWriter.
func (d Discard) Header() http.Header { return d.Headers }

// WriteHeader implements http.ResponseWriter.
func (d Discard) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (d Discard) Write(p []byte) (int, error) { return len(p), nil }

// Flush implements http.Flusher.
func (d Discard) Flush() {}
