package control

import (
	"strings"
	"testing"
	"unicode/utf8"

	"composer-api/internal/agent"
)

// FuzzLimiter checks that an answer is cut at the same place however it comes in pieces, and that what is held back
// is never more than the beginning of a stop text.
func FuzzLimiter(f *testing.F) {
	f.Add("one two STOP three", "STOP", "two S", 0, uint(3))
	f.Add("aaaaab", "aab", "ab", 0, uint(1))
	f.Add("abcd", "abcd", "bc", 0, uint(0))
	f.Add("žluťoučký kůň", "ů", "", 3, uint(2))
	f.Fuzz(func(t *testing.T, answer, stop1, stop2 string, maxTokens int, step uint) {
		if !utf8.ValidString(answer) || !utf8.ValidString(stop1) || !utf8.ValidString(stop2) {
			t.Skip()
		}
		req := &agent.Request{MaxOutputTokens: max(maxTokens, 0)}
		for _, s := range []string{stop1, stop2} {
			if s != "" {
				req.Stop = append(req.Stop, s)
			}
		}
		whole, wholeCut := limited(t, req, answer, len(answer))
		pieces, piecesCut := limited(t, req, answer, int(step%16)+1)
		if whole != pieces || wholeCut != piecesCut {
			t.Errorf("whole: %q %v; in pieces: %q %v", whole, wholeCut, pieces, piecesCut)
		}
		if !strings.HasPrefix(answer, whole) || !utf8.ValidString(whole) {
			t.Errorf("%q is not the beginning of %q", whole, answer)
		}
		for _, s := range req.Stop {
			if strings.Contains(whole, s) {
				t.Errorf("%q contains the stop text %q", whole, s)
			}
		}
	})
}

// limited passes answer through a limiter in pieces of about size bytes.
func limited(t *testing.T, req *agent.Request, answer string, size int) (out string, cut agent.Reason) {
	l := newLimiter(req.Stop, req.MaxOutputTokens)
	for answer != "" {
		end := min(max(size, 1), len(answer))
		for end < len(answer) && !utf8.RuneStart(answer[end]) {
			end++
		}
		passed, cut := l.text([]byte(answer[:end]))
		out += string(passed)
		if cut != 0 {
			return out, cut
		}
		possible := false
		for _, s := range req.Stop {
			possible = possible || strings.HasPrefix(s, string(l.held))
		}
		if len(l.held) > 0 && !possible {
			t.Errorf("%q is held back for nothing", l.held)
		}
		answer = answer[end:]
	}
	rest, cut := l.rest()
	return out + string(rest), cut
}
