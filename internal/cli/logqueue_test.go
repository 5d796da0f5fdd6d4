package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A slow writer takes nothing while its turn is another's.
type slow struct {
	turn chan struct{} // has room for one: who has put something in
	text strings.Builder
}

func newSlow() *slow { return &slow{turn: make(chan struct{}, 1)} }

func (s *slow) hold()    { s.turn <- struct{}{} }
func (s *slow) release() { <-s.turn }

func (s *slow) Write(p []byte) (int, error) {
	s.hold()
	defer s.release()
	return s.text.Write(p)
}

// line is a line of so many bytes.
func line(i, bytes int) string { return fmt.Sprintf("%-*d\n", bytes-1, i) }

func TestAQueueKeepsTheOrderAndSaysWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlow()
		q := newLogQueue(w, "text")
		var want strings.Builder
		put := func(i int) {
			text := line(i, 1<<10)
			if n, err := q.Write([]byte(text)); n != len(text) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			want.WriteString(text)
		}
		put(0)
		synctest.Wait()
		w.hold()
		put(1) // this one is being written, and all that follow wait
		synctest.Wait()
		for i := range mostQueued >> 10 {
			put(2 + i)
		}
		for range 3 { // no room
			q.Write([]byte(line(0, 1<<10)))
		}
		w.release()
		synctest.Wait()
		_, after, found := strings.Cut(w.text.String(), want.String())
		if !found || !strings.Contains(after, "level=WARN") || !strings.Contains(after, "lines=3\n") || strings.Count(after, "\n") != 1 {
			t.Errorf("%d bytes, and then %.200q", w.text.Len()-len(after), after)
		}
		q.Write([]byte("the last one\n"))
		q.Close()
		if !strings.HasSuffix(w.text.String(), "lines=3\nthe last one\n") {
			t.Errorf("it ends in %q", w.text.String()[w.text.Len()-100:])
		}
	})
}

func TestTheEndOfAQueueIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlow()
		w.hold()
		q := newLogQueue(w, "json")
		q.Write([]byte("a line\n"))
		began := time.Now()
		q.Close()
		if took := time.Since(began); took != lastWords {
			t.Errorf("it took %v", took)
		}
		q.Write([]byte("too late\n"))
		w.release()
		<-q.done
		if text := w.text.String(); text != "a line\n" {
			t.Errorf("%q", text)
		}
	})
}
