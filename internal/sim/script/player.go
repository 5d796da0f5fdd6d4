package script

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// How a turn is played. The simulators (packages cursorsim, bridgesim, demo) ask for one step
// after the other and carry it out; the player does what needs no wire: placeholders, the
// numbers of calls, the library, expectations.

// A Player plays one turn: it yields the steps one after the other, with placeholders filled in. It is
// used by one goroutine.
//
// What Next does with each kind of step:
//
//	Say               yields one Text for each word
//	Many              yields N Texts with Delays between them
//	Play              continues with the steps of the named script's first turn
//	Expect            is evaluated, and yields nothing; see Failed
//	Reached           is called, and yields nothing
//	everything else   is yielded, placeholders filled in
//
// After Calls, the caller hands in the results with Result before it calls Next again; after Query,
// the answer with Answer. A result that is missing then reads "(no result)".
//
// Its life is one turn. Over several requests of one turn, as the older chat endpoint has them,
// the same Player is handed from one request to the next.
type Player struct {
	facts Facts // Prompt without directives
	// todo is what is left. It may share memory with the script's slice, so it is never written to in
	// place; see unshift.
	todo    []Step
	results []*Result // by call number - 1; nil while there is none
	answer  string    // to the last query
	// failed is what Failed returns, and plays counts the Play steps so far.
	failed []string
	// plays is bounded, so that scripts which play each other come to an end.
	plays int
}

// A Result is what the client answered to a call. Text is what the model would read; pictures
// are described in it by whoever makes it.
type Result struct {
	// Text may be "".
	Text    string
	IsError bool
}

// maxPlays ends a turn in which scripts of the library play each other for ever.
const maxPlays = 100

// newPlayer takes steps that may be shared with other players, and facts whose Prompt has no
// directives any more.
func newPlayer(steps []Step, facts Facts) *Player {
	return &Player{facts: facts, todo: steps}
}

// Next yields the next step; false when the turn is over. It never blocks: a Delay, a Hold or a wait
// for results is the caller's to carry out.
func (p *Player) Next() (Step, bool) {
	for len(p.todo) > 0 {
		// Steps that stand for others are replaced by those first, and the loop goes on with them.
		step := p.todo[0]
		p.todo = p.todo[1:]
		switch s := step.(type) {
		case Say:
			p.unshift(pieces(p.fill(s.Text)))
		case Many:
			return p.many(s), true
		case Play:
			p.unshift(p.library(s.Name))
		case Expect:
			p.expect(s)
		case Reached:
			s.Note()
		case literal:
			return s.Text, true
		default:
			return p.filled(step), true
		}
	}
	return nil, false
}

// literal is text whose placeholders are filled in already. It is not filled a second time: what a
// placeholder stood for (a prompt, a result) comes from outside and may hold braces of its own.
type literal struct{ Text }

// Result hands in the client's answer to call number n, counted over the whole turn from 1. Numbers
// that were never yielded are ignored, because they come from the wire.
func (p *Player) Result(n int, r Result) {
	if n >= 1 && n <= len(p.results) {
		p.results[n-1] = &r
	}
}

// Answer hands in what the client said to the last query: "approved", or "rejected: " and why.
// It is what {answer} stands for until the next one.
func (p *Player) Answer(text string) { p.answer = text }

// Failed lists the expectations that did not hold. It is complete once Next has returned false.
// Each entry is the line of the script and what was found.
func (p *Player) Failed() []string { return p.failed }

// unshift puts steps before what is left. The script's own slice is never written to.
func (p *Player) unshift(steps []Step) {
	p.todo = append(steps[:len(steps):len(steps)], p.todo...)
}

// many yields one piece and puts the step back with one piece less, so that a million pieces cost no
// memory. The text is filled in again for each piece.
func (p *Player) many(s Many) Step {
	text := Text{Text: p.fill(s.Text)}
	if s.N--; s.N > 0 {
		p.unshift([]Step{Delay{s.Gap}, s})
	}
	return text
}

// library returns the steps that stand in for a Play. Its errors become an error of the turn, because
// the person who wrote the script reads the client's output, not our log.
func (p *Player) library(name string) []Step {
	if p.plays++; p.plays > maxPlays {
		return []Step{complaint("the library's scripts play each other without end")}
	}
	s, err := Named(name)
	if err != nil {
		return []Step{complaint(err.Error())}
	}
	return s.Turns[0].Steps
}

// expect compares and takes a note; the turn goes on in both cases. Whoever runs the simulator asks
// for the notes at the end.
func (p *Player) expect(e Expect) {
	got := p.value(e.What)
	switch e.What {
	case "result":
		got = p.result(e.N)
	case "prompt":
		got = p.facts.told()
	}
	if want := p.fill(e.Text); !strings.Contains(got, want) {
		p.failed = append(p.failed, fmt.Sprintf("%s: got %q", e.format(), got))
	}
}

// filled returns the step with its placeholders replaced and its calls numbered. It copies: the
// script's own steps stay as they are, because other players share them. Calls are numbered in
// the order in which they are yielded, over the whole turn.
func (p *Player) filled(step Step) Step {
	switch s := step.(type) {
	case Text:
		s.Text = p.fill(s.Text)
		return s
	case Think:
		s.Text = p.fill(s.Text)
		return s
	case SetBlob:
		s.Text = p.fill(s.Text)
		return s
	case Error:
		s.Title, s.Message = p.fill(s.Title), p.fill(s.Message)
		return s
	case Status:
		s.Message = p.fill(s.Message)
		return s
	case Mirror:
		s.Args = p.fillJSON(s.Args)
		return s
	case Call:
		s.Args = p.fillJSON(s.Args)
		p.results = append(p.results, nil)
		s.N = len(p.results)
		return s
	// The slice is the script's, and a new one takes the place of it.
	case Calls:
		steps := make([]Step, len(s.Steps))
		for i, inner := range s.Steps {
			steps[i] = p.filled(inner)
		}
		s.Steps = steps
		return s
	}
	return step
}

// placeholder has every name that value knows. Other text in braces stays as it is, so JSON
// needs no escapes.
var placeholder = regexp.MustCompile(`\{(prompt|line|chars|model|tools|images|system|messages|answer|results|result [0-9]{1,4}|after [^{}"]{1,100})\}`)

// fill replaces the placeholders in a text. What was put in is not looked at again.
func (p *Player) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(match string) string { return p.value(match[1 : len(match)-1]) })
}

// fillJSON fills placeholders in JSON, where one can only stand inside a string.
func (p *Player) fillJSON(text json.RawMessage) json.RawMessage {
	return placeholder.ReplaceAllFunc(text, func(match []byte) []byte {
		quoted, _ := json.Marshal(p.value(string(match[1 : len(match)-1])))
		return quoted[1 : len(quoted)-1]
	})
}

// value is what a placeholder stands for, by its name without braces. The regular expression lets
// through only names that are handled here, so what is left at the end is "result N".
func (p *Player) value(name string) string {
	switch name {
	case "prompt":
		return p.facts.Prompt
	case "line":
		return lastLine(p.facts.Prompt)
	case "chars":
		return strconv.Itoa(len([]rune(p.facts.Prompt)))
	case "model":
		return p.facts.Model
	case "tools":
		if len(p.facts.Tools) == 0 {
			return "none"
		}
		return strings.Join(p.facts.Tools, ", ")
	case "system":
		return p.facts.System
	case "images":
		return strconv.Itoa(p.facts.Images)
	case "messages":
		return strconv.Itoa(p.facts.Messages)
	case "answer":
		return p.answer
	case "results":
		var all []string
		for n := range p.results {
			all = append(all, p.result(n+1))
		}
		return strings.Join(all, "\n")
	}
	if text, ok := strings.CutPrefix(name, "after "); ok {
		return wordAfter(p.facts.Prompt, text)
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "result "))
	return p.result(n)
}

// result is the text of call n's result as a placeholder shows it. A failed call's text begins with
// "error: ".
func (p *Player) result(n int) string {
	switch {
	case n < 1 || n > len(p.results) || p.results[n-1] == nil:
		return "(no result)"
	case p.results[n-1].IsError:
		return "error: " + p.results[n-1].Text
	}
	return p.results[n-1].Text
}

// wordAfter is the word that follows the last place where text is in prompt, without the punctuation around it; "" when there
// is none.
func wordAfter(prompt, text string) string {
	i := strings.LastIndex(prompt, text)
	if i < 0 {
		return ""
	}
	word := strings.TrimLeftFunc(prompt[i+len(text):], unicode.IsSpace)
	if end := strings.IndexFunc(word, unicode.IsSpace); end >= 0 {
		word = word[:end]
	}
	return strings.TrimFunc(word, unicode.IsPunct)
}

// lastLine is what the user most likely typed last; see bodyLines.
func lastLine(text string) string {
	lines := bodyLines(text)
	return lines[len(lines)-1]
}

// pieces cuts a text after each blank, so that the pieces put together are the text again. They are
// literal, because text was filled in before it was cut.
func pieces(text string) []Step {
	var steps []Step
	for _, word := range strings.SplitAfter(text, " ") {
		if word != "" {
			steps = append(steps, literal{Text{Text: word}})
		}
	}
	return steps
}

// complaint is the step that tells the person who wrote the script what is wrong with it.
func complaint(message string) Step {
	return Error{Code: "invalid_argument", Title: "Simulator script", Message: message}
}
